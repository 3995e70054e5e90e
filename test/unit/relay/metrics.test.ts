/**
 * The names under which the field counts (chatmail protocol §20) are those that an administrator's
 * dashboards know.
 */
import { expect, test } from "vitest";
import { Metrics } from "../../../src/relay/metrics.ts";

/** All but those that docs/differences.md says are not there. */
const known = [
  ...["dkim_signed", "created_accounts", "created_ci_accounts", "created_nonci_accounts", "rejected_registrations"],
  ...["filtered_outgoing_mail_count", "outgoing_encrypted_mail_count", "outgoing_unencrypted_mail_count"],
  ...["filtered_incoming_mail_count", "incoming_encrypted_mail_count", "incoming_unencrypted_mail_count"],
  ...["incoming_mailer_daemon_mail_count", "rejected_unencrypted_mail_count"],
  ...["quota_expire_runs", "quota_expire_removed_files", "filtermail_transport_error_total"],
  ...["filtermail_inbound_drop_total", "filtermail_outbound_drop_total"],
];

test.each(known)("%s is there from the start, as a counter", (name) => {
  const text = new Metrics().text();
  expect(text).toContain(`# TYPE ${name} counter\n${name} 0\n`);
});

test("each label has its own count, and its value is quoted", () => {
  const metrics = new Metrics();
  metrics.count("filtermail_transport_error_total", { reason: "connection_refused" });
  metrics.count("filtermail_transport_error_total", { reason: "other" }, 2);
  metrics.count("filtermail_transport_error_total", { reason: "other" });
  expect(metrics.text()).toContain(
    '\nfiltermail_transport_error_total{reason="connection_refused"} 1\nfiltermail_transport_error_total{reason="other"} 3\n',
  );
});

test("what is counted of a domain has its name where several are served, and else has none", () => {
  let domains = 1;
  const metrics = new Metrics(() => domains);
  const lines = () => metrics.text().match(/^logins_total.*$/gm);
  metrics.of("a.test").count("logins_total", { outcome: "ok" });
  expect(lines()).toEqual(['logins_total{outcome="ok"} 1']);
  domains = 2;
  metrics.of("a.test", "b.test", "a.test", undefined).count("logins_total", { outcome: "ok" });
  metrics.of(undefined).count("logins_total", { outcome: "unknown" });
  expect(lines()).toEqual([
    'logins_total{outcome="ok"} 1',
    'logins_total{domain="a.test",outcome="ok"} 1',
    'logins_total{domain="b.test",outcome="ok"} 1',
    'logins_total{outcome="unknown"} 1',
  ]);
});

test("a time is a histogram, of a domain under its name where several are served", () => {
  let domains = 1;
  const metrics = new Metrics(() => domains);
  expect(metrics.text()).not.toContain("probe_delivery_seconds");
  metrics.of("a.test").observe("probe_delivery_seconds", 0.041);
  domains = 2;
  metrics.of("b.test").observe("probe_delivery_seconds", 0.2);
  const text = metrics.text();
  expect(text).toContain("# TYPE probe_delivery_seconds histogram\n");
  expect(text).toContain('probe_delivery_seconds_bucket{le="0.05"} 1\n');
  expect(text).toContain("probe_delivery_seconds_count 1\n");
  expect(text).toContain('probe_delivery_seconds_count{domain="b.test"} 1\n');
});
