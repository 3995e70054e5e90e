/** What the pod's objects wait for. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { problemOf } from "../identity/read.ts";
import { secretNameOf } from "../identity/secret.ts";
import { identities, identityNames } from "../identity/table.ts";
import { lossesIn } from "./losses.ts";
import type { Seen } from "./seen.ts";

/** What the pod needs and what is not there, each in a few words. */
export function podWaitsFor(server: ChatmailServer, seen: Seen): string[] {
  const { certificate, identity } = seen;
  const keys = identityNames.flatMap((name) => {
    const found = identity[name];
    if (!found || found.state === "present" || !identities[name].podNeedsIt) return [];
    return [problemOf(found)?.message ?? `Secret ${secretNameOf(server, name)} does not exist yet`];
  });
  const lost = lossesIn(server, seen).filter(({ of }) => of === "dkim");
  keys.push(...lost.map(({ message }) => message).filter((message) => !keys.includes(message)));
  // it would delete the mail of this server, too
  if (seen.erasing !== undefined)
    return [`Job ${seen.erasing} is deleting the mail of an earlier server of this name`, ...keys];
  if (certificate.source === "None" || certificate.unusable)
    return [certificate.problem?.message ?? "there is no certificate", ...keys];
  return keys;
}
