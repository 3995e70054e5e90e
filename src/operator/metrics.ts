/** What the operator counts, as an administrator reads it beside each name. */
import { kubeHelp } from "../kube/metrics.ts";
import { serverHelp } from "./server-metrics.ts";

export const operatorHelp = {
  ...kubeHelp,
  ...serverHelp,
  chatmail_operator_info: "Version of the operator; always 1",
  chatmail_operator_servers: "ChatmailServers that the operator knows",
  chatmail_operator_fleets: "ChatmailFleets that the operator knows",
  chatmail_operator_namespaces_of_others: "1 for each watched namespace that another operator looks after",
  chatmail_server_certificate_expiration_timestamp_seconds:
    "When the certificate that the ports of a ChatmailServer present ends, the first of them where they differ; unix time",
  process_start_time_seconds: "When the operator was started, in seconds since 1970",
  process_cpu_seconds_total: "CPU time that the operator has used",
  process_resident_memory_bytes: "Resident memory of the operator",
  nodejs_heap_size_used_bytes: "Memory in use by JavaScript objects",
} as const;
