/** What a relay tells clients of itself by IMAP (RFC 5464). */
import { ports } from "../../src/mail/ports.ts";
import { password } from "./accounts.ts";
import { ImapClient } from "./imap-client.ts";
import type { RelayPod } from "./relay-pod.ts";

type Pod = Pick<RelayPod, "at">;

/** Under this name, as clients ask for it. */
export async function serverMetadata(pod: Pod, user: string, name: string): Promise<string> {
  const imap = await ImapClient.ready(pod.at(ports.imaps), user, password);
  const { untagged } = await imap.say(`GETMETADATA "" /shared/vendor/deltachat/${name}`);
  await imap.logout();
  return /"([^"]*)"\)?$/.exec(untagged.join())?.[1] ?? /\}\r\n(.*)\)$/s.exec(untagged.join())?.[1] ?? untagged.join();
}

/** For calls. */
export async function turnCredential(pod: Pod, user: string) {
  const [host, port, username = "", ...rest] = (await serverMetadata(pod, user, "turn")).split(":");
  return { host, port, username, password: rest.join(":") };
}
