import { authorityOf } from "../../../api/certificate-source.ts";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { problemOf } from "../../identity/read.ts";
import type { Problem } from "../../problem.ts";
import { lossesIn } from "../losses.ts";
import type { Seen } from "../seen.ts";
import { type Check, notCreated } from "./check.ts";

export const certificateIsFine: Check = ({ certificate, identity }, server) =>
  identity.tls?.state === "absent" && server.spec.management === "Unmanaged"
    ? notCreated(server, "certificate")
    : withLast(certificate);

/** What is served meanwhile, where there is a copy of what was served last. */
function withLast({ problem, last }: Seen["certificate"]): Problem | undefined {
  if (!problem || !last) return problem;
  const until = last.notAfter.toISOString().slice(0, 10);
  return { ...problem, message: `${problem.message}. The one before is served, until ${until}` };
}

/** Where it comes from, for a sentence. */
export function certificateOrigin({ spec }: ChatmailServer, { certificate }: Pick<Seen, "certificate">): string {
  const { source, secretName, onItsWay } = certificate;
  if (source === "SelfSigned" || onItsWay) return "self-signed";
  return source === "ACME" ? `from ${authorityOf(spec)}` : `from Secret ${secretName}`;
}

export const keyIsFine: Check = (seen, server) =>
  lossesIn(server, seen).find(({ of }) => of === "dkim") ?? problemOf(seen.identity.dkim);
