/**
 * How the trouble of each alert is caused (test/services/alerts-fire.test.ts), and the seconds from
 * then until the alert fired, as that test printed them: with the programs of a relay pod, the
 * operator at a real API server, Prometheus that scrapes every two seconds and evaluates its rules
 * each second, and `for: 1s` in all of them.
 */
export const caused: Readonly<Record<string, { by: string; seconds: number }>> = {
  ChatmailOperatorDown: { by: "the operator's health port is closed", seconds: 3 },
  ChatmailOperatorWithoutLeader: { by: "the only replica does not lead", seconds: 3 },
  ChatmailOperatorFailing: {
    by: "the API server refuses each status as invalid (422), and four servers are created",
    seconds: 6,
  },
  ChatmailOperatorBlind: { by: "an operator is started that may not read Secrets (403)", seconds: 2 },
  ChatmailServerNotReady: { by: "a server is created whose pod nobody runs", seconds: 3 },
  ChatmailServerStalled: { by: "a second server of a domain is created", seconds: 3 },
  ChatmailDeliveryFailing: { by: "Dovecot stands still, and 40 messages are sent", seconds: 46 },
  ChatmailQueueStuck: {
    by: "Dovecot stands still, and the messages that wait for it are made an hour older",
    seconds: 3,
  },
  ChatmailVolumeNearlyFull: { by: "a file leaves 13 % of the volume", seconds: 2 },
  ChatmailVolumeFull: { by: "a file leaves 8 % of the volume", seconds: 3 },
  ChatmailCertificateEndsSoon: { by: "a server is given a certificate that ends in ten days", seconds: 3 },
  ChatmailRecordsWrong: { by: "a server is created whose records nobody publishes", seconds: 3 },
  ChatmailExpiryFailing: { by: "the job of a clean-up fails", seconds: 3 },
  ChatmailBackupFailing: { by: "a server is to be backed up, and the spec names no recipient", seconds: 4 },
  ChatmailRolloutStopped: { by: "a server of the fleet is Stalled", seconds: 5 },
  ChatmailServerOutdated: { by: "a paused server is edited", seconds: 3 },
  ChatmailRelayNotScraped: { by: "a server is created whose pod nobody runs", seconds: 3 },
  ChatmailRelaySlow: { by: "Dovecot goes on: the 40 messages have waited for it", seconds: 2 },
  ChatmailPushDropped: {
    by: "nobody listens at the URL of the push service, and all ten devices of an account are replaced after each of four messages",
    seconds: 2,
  },
  ChatmailTurnPortsShort: { by: "five accounts take 17 of 20 ports", seconds: 3 },
  ChatmailSourceAddressHidden: { by: "40 accounts log in from one address", seconds: 2 },
};
