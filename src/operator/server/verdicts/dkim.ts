/** What the status says of the keys that mail is signed with. Pure. */
import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { dkimFingerprint, type PublicDkimKey } from "../../../dns/dkim-key.ts";
import { dkimRecord } from "../../../dns/records.ts";
import { valueTexts } from "../../../dns/zone-text.ts";
import { presentIn } from "../../identity/read.ts";
import { periodEnd } from "../../identity/rotation.ts";
import type { Problem } from "../../problem.ts";
import { isToStay } from "../losses.ts";
import { rotationStep, signerOf } from "../rotation-step.ts";
import type { Seen } from "../seen.ts";
import { timeText } from "../time-text.ts";

/** A key that is not yet in the cluster is not for the DNS. */
export function dkimOf(server: ChatmailServer, seen: Seen, now: Date): Pick<ChatmailServerStatus, "dkim"> {
  const { domain, dkim } = server.spec;
  const found = seen.identity.dkim;
  const value = presentIn(found);
  if (!value || !found || !("secret" in found)) return {};
  const stays = isToStay(server, found.secret);
  const keys = value.keys.slice(0, 16).map(({ selector, key, state, since }) => {
    const set = dkimRecord({ domain, selector, key });
    const fingerprint = stays ? { fingerprint: dkimFingerprint(key) } : {};
    const record = { name: set.name, value: valueTexts(set).join() };
    return { selector, algorithm: algorithms[key.type], state, since, ...fingerprint, record };
  });
  if (keys.length === 0) return {};
  const signer = signerOf(domain, seen);
  const active = keys.filter(({ state }) => state === "Active").map(({ selector }) => selector);
  const waits = rotationStep(server, seen, now)?.waits;
  const isUnderWay = value.rotation.sets.some(({ state }) => state !== "Active" && state !== "Retiring");
  const end = isUnderWay ? undefined : periodEnd(value.rotation, dkim);
  return {
    dkim: {
      signing: typeof signer === "string" ? active : [...signer].slice(0, 16),
      ...(end && { nextRotationTime: timeText(end) }),
      ...(waits && { message: waits.message.slice(0, 1_000) }),
      keys,
    },
  };
}

/** A rotation that only a person can take on. */
export function rotationWaits(server: ChatmailServer, seen: Seen, now: Date): Problem | undefined {
  const waits = rotationStep(server, seen, now)?.waits;
  return waits?.for === "person" ? { reason: "DKIMRotationWaits", message: waits.message } : undefined;
}

const algorithms = { rsa: "RSA", ed25519: "Ed25519" } as const satisfies Record<PublicDkimKey["type"], string>;
