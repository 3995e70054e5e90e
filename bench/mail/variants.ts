/**
 * The same Postfix twice: beside its submission service stand two of the same kind, one without a
 * milter and equal in all else.
 */
import type { Files, Part } from "../../src/pod/files.ts";
import { loopback } from "../../src/pod/layout.ts";

export const filters = ["plain", "filtered"] as const;
export type Filter = (typeof filters)[number];
export const destinations = ["imap", "discard"] as const;
export type Destination = (typeof destinations)[number];

export const submissionPort: Readonly<Record<Filter, number>> = { plain: 10_465, filtered: 10_466 };
export const discardDomain = "discard.test";

/**
 * How Dovecot's LMTP writes: `never` leaves it to the kernel when, `optimized` waits for the disk
 * before it says 250.
 */
export const syncs = ["never", "optimized"] as const;
export type Sync = (typeof syncs)[number];

export const domain = "_bench.test";
export function withPlainTwin(files: Record<Part, Files>): Record<Part, Files> {
  const main = files.postfix["main.cf"] ?? "";
  const master = files.postfix["master.cf"] ?? "";
  const submissions = new RegExp(`^127\\.0\\.0\\.1:${loopback.submissions} inet .*\\n(?: {2}.*\\n)+`, "m").exec(
    master,
  )?.[0];
  if (!submissions) throw new Error("master.cf has no service for submissions");
  // both without nginx before them
  const at = (port: number) =>
    submissions.replace(/^\S+ inet/, `${port} inet`).replace(/^ {2}-o smtpd_upstream_proxy_protocol=.*\n/m, "");
  const twins =
    at(submissionPort.filtered) + at(submissionPort.plain).replace(/^ {2}-o smtpd_milters=.*$/m, "  -o smtpd_milters=");
  // without an end mark: a dollar sign would begin a name
  const toDiscard = `regexp:{{/@${discardDomain.replace(".", "\\.")}/ discard:}}`;
  const routed = main.replace(/^transport_maps = /m, `transport_maps = ${toDiscard}, `);
  return { ...files, postfix: { ...files.postfix, "main.cf": routed, "master.cf": master + twins } };
}

export function withSync(dovecotConf: string, sync: Sync): string {
  const bare = dovecotConf.replace(/^ {2}mail_fsync = .*\n/m, "");
  return bare.replace(/^protocol lmtp \{\n/m, `protocol lmtp {\n  mail_fsync = ${sync}\n`);
}
