import { authorityOf } from "../../../api/certificate-source.ts";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { problemOf } from "../../identity/read.ts";
import { lossesIn } from "../losses.ts";
import type { Seen } from "../seen.ts";
import { type Check, notCreated } from "./check.ts";

export const certificateIsFine: Check = ({ certificate, identity }, server) =>
  identity.tls?.state === "absent" && server.spec.management === "Unmanaged"
    ? notCreated(server, "certificate")
    : certificate.problem;

/** Where it comes from, for a sentence. */
export function certificateOrigin({ spec }: ChatmailServer, { certificate }: Pick<Seen, "certificate">): string {
  const { source, secretName, onItsWay } = certificate;
  if (source === "SelfSigned" || onItsWay) return "self-signed";
  return source === "ACME" ? `from ${authorityOf(spec)}` : `from Secret ${secretName}`;
}

export const keyIsFine: Check = (seen, server) =>
  lossesIn(server, seen).find(({ of }) => of === "dkim") ?? problemOf(seen.identity.dkim);
