/** Single TXT records in a zone, beside whatever else stands at their names (RFC 2136 §2.5). */
import { Failure } from "../../api/failure.ts";
import { openSession, type Rfc2136Options, send } from "./rfc2136.ts";

/** Nobody is to remember them. */
const ttlSeconds = 30;

/** `name`: with its dot at the end. Throws Failure as `publish` does. */
export async function changeTexts(
  change: "add" | "delete",
  texts: readonly { name: string; value: string }[],
  options: Rfc2136Options,
): Promise<void> {
  const session = await openSession(options);
  const changes = texts.map(({ name, value }) => ({ change, ttlSeconds, name, type: "TXT", value }) as const);
  const code = await send(session, { prerequisites: [], changes });
  if (code !== "NOERROR")
    throw new Failure("DnsUpdateConflict", `${session.name} answers ${code} to TXT records of ${options.domain}`);
}
