/**
 * Some machines (containers, small virtual ones) lack a capability that privileged containers ask
 * for. There an OCI runtime of ours stands before runc and takes out of each bundle what can't be
 * had. Where nothing is missing it is not used at all.
 */
import { readFileSync } from "node:fs";

/** Linux capabilities in the order of their bits (capability.h). */
const names = (
  "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast " +
  "net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice " +
  "sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm " +
  "block_suspend audit_read perfmon bpf checkpoint_restore"
)
  .split(" ")
  .map((name) => `CAP_${name.toUpperCase()}`);

/**
 * Capabilities up to `last` that a bounding set (hexadecimal, as in /proc/self/status) lacks. Pure.
 */
export function lacking(boundingSet: string, last: number): string[] {
  const bits = BigInt(`0x${boundingSet}`);
  return names.slice(0, last + 1).filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 0n);
}

/** What this machine can't give to anyone. */
export function missingCapabilities(): string[] {
  const status = readFileSync("/proc/self/status", "utf8");
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
  return lacking(/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0", last);
}

/**
 * The runtime: edits the bundle (`--bundle DIR`) or the process (`--process FILE`) that it is
 * called with, then is runc.
 */
export function runtimeScript(missing: readonly string[]): string {
  const fit = [
    `(.capabilities // {}) |= with_entries(.value |= map(select(IN(${missing.map((name) => `"${name}"`).join(", ")}) | not)))`,
    "del(.rlimits)", // raising a limit needs CAP_SYS_RESOURCE
    "if (.oomScoreAdj // 0) < 0 then .oomScoreAdj = 0 else . end", // so does lowering this score
  ].join(" | ");
  return `#!/bin/bash
# runc, less the capabilities that this machine's bounding set lacks: ${missing.join(" ")}
fit='${fit}'
edit() { [ -f "$2" ] && jq -c "$1" "$2" > "$2.fit" && cat "$2.fit" > "$2"; rm -f "$2.fit"; }
before=
for word in "$@"; do
  case $before in
    --bundle | -b) edit ".process |= ($fit)" "$word/config.json" ;;
    --process | -p) edit "$fit" "$word" ;;
  esac
  before=$word
done
exec /usr/sbin/runc "$@"
`;
}
