/**
 * How the trouble of each alert was caused, and the seconds from then until the alert fired: with
 * the programs of a relay pod that is scraped every five seconds, the operator at a real API
 * server, Prometheus with rules that are evaluated each second, and `for: 1s` in all of them. An
 * alert without seconds did not fire there, see the page.
 */
export const caused: Readonly<Record<string, { by: string; seconds?: number }>> = {
  ChatmailOperatorDown: { by: "the operator's health port is closed", seconds: 6 },
  ChatmailOperatorWithoutLeader: { by: "the only replica does not lead", seconds: 7 },
  ChatmailOperatorFailing: {
    by: "the API server refuses each status as invalid (422), and four servers are created",
    seconds: 11,
  },
  ChatmailOperatorBlind: { by: "an operator is started that may not read Secrets (403)", seconds: 4 },
  ChatmailServerNotReady: { by: "a server is created whose pod nobody runs", seconds: 6 },
  ChatmailServerStalled: { by: "a second server of a domain is created", seconds: 6 },
  ChatmailDeliveryFailing: { by: "Dovecot stands still, and 30 messages are sent", seconds: 167 },
  ChatmailQueueStuck: {
    by: "Dovecot stands still, and the messages that wait for it are made an hour older",
    seconds: 45,
  },
  ChatmailVolumeNearlyFull: { by: "a file leaves 13 % of the volume", seconds: 4 },
  ChatmailVolumeFull: { by: "a file leaves 8 % of the volume", seconds: 11 },
  ChatmailCertificateEndsSoon: { by: "a server is given a certificate that ends in ten days", seconds: 6 },
  ChatmailRecordsWrong: { by: "a server is created whose records nobody publishes", seconds: 7 },
  ChatmailExpiryFailing: { by: "the job of a clean-up fails", seconds: 6 },
  ChatmailBackupFailing: { by: "a server is to be backed up, and the spec names no recipient", seconds: 6 },
  ChatmailRolloutStopped: { by: "a server of the fleet is Stalled", seconds: 6 },
  ChatmailServerOutdated: { by: "a paused server is edited", seconds: 6 },
  ChatmailRelayNotScraped: { by: "a server is created whose pod nobody runs", seconds: 6 },
  ChatmailRelaySlow: { by: "Dovecot goes on: the 30 messages have waited for it" },
  ChatmailPushDropped: {
    by: "nobody listens at the URL of the push service, and all ten devices of an account are replaced after each of four messages",
    seconds: 10,
  },
  ChatmailTurnPortsShort: { by: "three accounts take all ports that they get" },
  ChatmailSourceAddressHidden: { by: "20 accounts log in from one address", seconds: 10 },
};
