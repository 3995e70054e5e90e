/** What the daemon counts. No label ever holds an address. */
import { Metrics as AnyMetrics, type Labels } from "../lib/metrics.ts";
import { addProcessMetrics } from "../lib/process-metrics.ts";

/** Read whenever somebody asks. */
const readHelp = {
  chatmail_relay_info: "Version of the relay; always 1",
  chatmail_volume_size_bytes: "Size of the volume of mailboxes and queue",
  chatmail_volume_available_bytes: "Free bytes of the volume",
  chatmail_volume_inodes: "Inodes of the volume; 0 where their number is not fixed",
  chatmail_volume_available_inodes: "Free inodes of the volume",
  chatmail_queue_messages: "Messages in Postfix's queue, by state",
  chatmail_queue_oldest_message_seconds: "Age of the oldest message in the queue",
  chatmail_queue_oldest_moving_message_seconds:
    "Age of the oldest message that Postfix is delivering, or has not tried to deliver yet",
  chatmail_queue_late_destinations: "Domains that mail has waited for longer than an hour",
  chatmail_imap_sessions: "IMAP sessions that have logged in, by state: awake or hibernated",
  chatmail_accounts: "Accounts, by kind: all, ci (made by a test) or user",
  chatmail_client_accounts: "Accounts that have logged in within a day, by family of the client's address",
  chatmail_client_accounts_of_one_address:
    "How many of chatmail_client_accounts come from the address that most of them come from",
  chatmail_turn_relay_ports: "Ports for calls",
  chatmail_turn_relay_ports_used: "Ports for calls that are in use",
  process_start_time_seconds: "When the daemon was started, in seconds since 1970",
  process_cpu_seconds_total: "CPU time that the daemon has used",
  process_resident_memory_bytes: "Resident memory of the daemon",
} as const;

/** What an administrator reads beside each name. */
export const relayHelp = {
  filtered_outgoing_mail_count: "Submitted messages that the filter checked",
  outgoing_encrypted_mail_count: "Submitted messages that are encrypted",
  outgoing_unencrypted_mail_count: "Submitted messages that are not encrypted",
  filtered_incoming_mail_count: "Messages from other servers that the filter checked",
  incoming_encrypted_mail_count: "Messages from other servers that are encrypted",
  incoming_unencrypted_mail_count: "Messages from other servers that are not encrypted",
  incoming_mailer_daemon_mail_count: "Bounces from other servers",
  rejected_unencrypted_mail_count: "Messages rejected because they are not encrypted",
  filtermail_inbound_drop_total: "Messages from other servers that were not accepted, by reason",
  filtermail_outbound_drop_total: "Submitted messages that were not forwarded, by reason",
  dkim_signed: "DKIM signatures added",
  chatmail_dkim_verified_total: "Messages from other servers whose DKIM signatures were verified, by result",
  rate_limited_total: "Transactions deferred by the rate limit of the sender",
  logins_total: "Password checks, by service and outcome",
  created_accounts: "Addresses created at first login",
  created_ci_accounts: "Created addresses whose name begins with ci-",
  created_nonci_accounts: "Created addresses whose name does not begin with ci-",
  rejected_registrations: "Registrations rejected, by reason",
  quota_expire_runs: "Mailboxes from which messages were deleted because they were nearly full",
  quota_expire_removed_files: "Messages deleted by quota_expire_runs",
  handed_out_credentials_total: "Credentials created by /new",
  mxdeliv_sent_total: "Messages sent by HTTPS, by outcome",
  mxdeliv_received_total: "Messages received by HTTPS, by outcome",
  filtermail_transport_error_total: "HTTPS connections to other relays that failed, by reason",
  chatmail_message_delivery_seconds:
    "Time from acceptance of a message to the end of its delivery to an account, or to another relay by HTTPS; what takes longer than 20 s is not in it",
  direct_deliveries_total:
    "Copies of messages for accounts of this relay, by outcome: delivered at once, or queued because that did not work",
  deliveries_late_total: "Messages accepted before an earlier one of their sender was delivered, which took too long",
  chatmail_turn_credentials_total: "Credentials for calls given to clients",
  push_tries_total: "Requests to the push service, by outcome",
  push_dropped_total: "Push notifications dropped: expired, or the queue was full",
  probe_delivery_seconds: "Time from submission to IMAP of messages that the relay sends to itself",
  probe_failures_total: "Messages that the relay sent to itself without success, by the step that failed",
  peer_errors_total: "Connections closed because of a protocol error, by service",
  ...readHelp,
} as const;

const histograms = ["probe_delivery_seconds", "chatmail_message_delivery_seconds"] as const;
type HistogramName = (typeof histograms)[number];
export type CounterName = Exclude<keyof typeof relayHelp, keyof typeof readHelp | HistogramName>;

const noCounters: ReadonlySet<string> = new Set([...Object.keys(readHelp), ...histograms]);

export interface DomainMetrics {
  count(name: CounterName, labels?: Labels, by?: number): void;
  observe(name: HistogramName, value: number): void;
}

export class Metrics extends AnyMetrics<CounterName> {
  readonly #domains: () => number;

  /** `domains`: how many are served. */
  constructor(domains: () => number = () => 1) {
    super(relayHelp);
    this.#domains = domains;
    addProcessMetrics(this);
    // each is there from the start
    for (const name of Object.keys(relayHelp)) if (!noCounters.has(name)) this.counter(name);
  }

  /**
   * What is counted of one domain: under its name, where several are served. Of several domains it
   * is counted for each. Only names of domains that are served may come here: whoever makes up
   * others would make up series.
   */
  of(...domains: readonly (string | undefined)[]): DomainMetrics {
    const named = this.#domains() > 1 ? [...new Set(domains.filter((each) => each !== undefined))] : [];
    return {
      count: (name, labels = {}, by) => {
        if (named.length === 0) this.count(name, labels, by);
        for (const domain of named) this.count(name, { domain, ...labels }, by);
      },
      observe: (name, value) => {
        if (named.length === 0) this.histogram(name).observe(value);
        for (const domain of named) this.histogram(name).observe(value, { domain });
      },
    };
  }
}
