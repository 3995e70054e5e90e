/** Takes lines of fields with TABs between, and answers nothing. */
import { LineReader } from "../../lib/lines.ts";
import type { FailureHandlers } from "./conversation.ts";
import { openSocketServer, type SocketServer } from "./socket-server.ts";

export interface ReportsOptions extends FailureHandlers {
  path: string;
  take(fields: readonly string[]): Promise<void>;
}

/** Of a message with its author; a delivery has one message. */
const maxLineBytes = 8192;

export function openReports(options: ReportsOptions): Promise<SocketServer> {
  return openSocketServer({ ...options, at: options.path }, () => {
    const reader = new LineReader(maxLineBytes);
    return {
      questions: (chunk) => reader.push(chunk),
      answer: async (line) => {
        // the peer has no use for a failure, and more to report
        await options.take(line.toString("utf8").split("\t")).catch(options.onFailure);
        return undefined;
      },
    };
  });
}
