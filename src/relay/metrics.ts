/** Counters of the daemon, and their text for Prometheus. No label ever holds an address. */

const help = {
  filtered_outgoing_mail_count: "Mails that our users handed in and the filter judged",
  outgoing_encrypted_mail_count: "Mails from our users that are encrypted",
  outgoing_unencrypted_mail_count: "Mails from our users that are not",
  filtered_incoming_mail_count: "Mails from other servers that the filter judged",
  incoming_encrypted_mail_count: "Mails from other servers that are encrypted",
  incoming_unencrypted_mail_count: "Mails from other servers that are not",
  incoming_mailer_daemon_mail_count: "Bounces from other servers",
  rejected_unencrypted_mail_count: "Mails refused because they are not encrypted",
  filtermail_inbound_drop_total: "Mails from other servers that were not passed on, by reason",
  filtermail_outbound_drop_total: "Mails from our users that were not passed on, by reason",
  dkim_signed: "Signatures made",
  rate_limited_total: "Transactions refused because the sender was too quick",
  logins_total: "Password checks, by door and outcome",
  created_accounts: "Addresses made at first login",
  created_ci_accounts: "Addresses made whose name begins with ci-",
  created_nonci_accounts: "Addresses made whose name does not",
  rejected_registrations: "First logins refused, by reason",
  quota_expire_runs: "Mailboxes trimmed because they were nearly full",
  quota_expire_removed_files: "Messages deleted by those",
  handed_out_credentials_total: "Answers of /new with a new address and password",
  mxdeliv_sent_total: "Mails that a peer answered by HTTPS, by outcome",
  mxdeliv_received_total: "Mails that peers brought by HTTPS, by outcome",
  filtermail_transport_error_total: "Connections by HTTPS that failed, by reason",
  deliveries_late_total: "Mails accepted although an earlier one of their sender had not been delivered in time",
  push_tries_total: "Requests to the push service, by outcome",
  push_dropped_total: "Pushes given up: after hours of trying, or because too many waited",
  peer_errors_total: "Connections ended because the peer broke the protocol, by door",
} as const;

export type Counter = keyof typeof help;

export class Metrics {
  readonly #counts = new Map<Counter, Map<string, number>>();

  count(name: Counter, labels: Record<string, string> = {}, by = 1): void {
    const series = this.#counts.get(name) ?? new Map<string, number>();
    this.#counts.set(name, series);
    const key = labelText(labels);
    series.set(key, (series.get(key) ?? 0) + by);
  }

  /** Prometheus text format; every counter is there from the start, so a rate can be taken of the first event. */
  text(): string {
    const lines: string[] = [];
    for (const [name, says] of Object.entries(help)) {
      lines.push(`# HELP ${name} ${says}`, `# TYPE ${name} counter`);
      const series = this.#counts.get(name as Counter) ?? new Map([["", 0]]);
      for (const [labels, value] of series) lines.push(`${name}${labels} ${value}`);
    }
    lines.push(
      "# TYPE process_resident_memory_bytes gauge",
      `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
    );
    return `${lines.join("\n")}\n`;
  }
}

function labelText(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
