/**
 * Dovecot's quota warning over its script protocol: `VERSION script 4 0`, `noreply`, `trim`, the
 * user, an empty line. Nothing is answered.
 */

import { LineReader } from "../../lib/lines.ts";
import type { Domains, LocalAddress } from "../domains.ts";
import { localAddress } from "../domains.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { type FailureHandlers, LastAnswer, ProtocolError } from "../wire/conversation.ts";
import { openSocketServer, type SocketServer } from "../wire/socket-server.ts";

export interface QuotaOptions extends FailureHandlers {
  path: string;
  config: Domains;
  trim(account: LocalAddress): Promise<void>;
}

const maxLines = 20;

/** The user of a `trim`; undefined for anything else. */
function parseWarning(lines: readonly string[]): string | undefined {
  const [version = "", ...rest] = lines;
  if (!version.startsWith("VERSION\tscript\t4\t")) return undefined;
  const words = rest.filter((line) => line !== "noreply" && !line.startsWith("alarm="));
  return words[0] === "trim" ? words[1] : undefined;
}

export function openQuota(options: QuotaOptions): Promise<SocketServer> {
  const trimming = new OneAtATime();
  const warn = async (lines: readonly string[]): Promise<void> => {
    const user = parseWarning(lines);
    const account = user === undefined ? undefined : localAddress(options.config, user);
    if (!account) throw new ProtocolError("no warning for an address of ours");
    await trimming.run(account.address, () => options.trim(account));
  };
  return openSocketServer({ ...options, at: options.path }, () => {
    const reader = new LineReader(1024);
    const lines: string[] = [];
    return {
      questions: (chunk) => reader.push(chunk),
      answer: async (line) => {
        if (line.length > 0 && lines.length < maxLines) {
          lines.push(line.toString("utf8"));
          return undefined;
        }
        await warn(lines);
        return new LastAnswer();
      },
    };
  });
}
