/** Dovecot's quota warning over its script protocol: `VERSION script 4 0`, `noreply`, `trim`, the user, an empty line. Nothing is answered. */

import { LineReader } from "../../lib/lines.ts";
import type { Domains, LocalAddress } from "../domains.ts";
import { localAddress } from "../domains.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { type Door, openDoor } from "../wire/unix-socket.ts";

export interface QuotaOptions {
  path: string;
  config: Domains;
  trim(account: LocalAddress): Promise<void>;
  onFailure: (thrown: unknown) => void;
  onProtocolError(why: string): void;
}

const maxLines = 20;

/** The user of a `trim`; undefined for anything else. */
function parseWarning(lines: readonly string[]): string | undefined {
  const [version = "", ...rest] = lines;
  if (!version.startsWith("VERSION\tscript\t4\t")) return undefined;
  const words = rest.filter((line) => line !== "noreply" && !line.startsWith("alarm="));
  return words[0] === "trim" ? words[1] : undefined;
}

export function openQuota(options: QuotaOptions): Promise<Door> {
  const trimming = new OneAtATime();
  return openDoor(options.path, (socket) => {
    const reader = new LineReader(1024);
    const lines: string[] = [];
    let owing = false;
    const warn = async () => {
      const user = parseWarning(lines);
      const account = user === undefined ? undefined : localAddress(options.config, user);
      if (account) await trimming.run(account.address, () => options.trim(account));
      else options.onProtocolError("no warning for an address of ours");
    };
    socket.on("data", (chunk) => {
      if (owing) return;
      try {
        for (const line of reader.push(chunk)) {
          if (line.length > 0 && lines.length < maxLines) {
            lines.push(line.toString("utf8"));
            continue;
          }
          owing = true;
          warn()
            .catch(options.onFailure)
            .finally(() => {
              owing = false;
              socket.end();
            });
          return;
        }
      } catch {
        options.onProtocolError("line too long");
        socket.destroy();
      }
    });
    return { owing: () => owing };
  });
}
