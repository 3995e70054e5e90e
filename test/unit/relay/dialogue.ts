/**
 * Line protocols as dialogues: `C: ` is sent, `S: ` must come back. `\t` and `\x01` stand for
 * themselves as in JavaScript.
 */
import { createConnection } from "node:net";
import { expect } from "vitest";
import { until } from "../../helpers/until.ts";

export async function dialogue(path: string, text: string): Promise<void> {
  const socket = createConnection(path);
  let received = "";
  let closed = false;
  socket.on("data", (chunk) => {
    received += chunk.toString("utf8");
  });
  socket.on("close", () => {
    closed = true;
  });
  socket.on("error", () => {});
  for (const line of text.trim().split("\n")) {
    const [, who, said = ""] = /^\s*([CS]): ?(.*)$/.exec(line) ?? [];
    const content = said.replace(/\\t/g, "\t").replace(/\\x01/g, "\x01");
    if (who === "C") socket.write(`${content}\n`);
    else if (content === "(closed)") await until("the connection's end", () => closed);
    else {
      await until(`an answer like ${said}`, () => received.includes("\n") || closed);
      const end = received.indexOf("\n");
      expect(received.slice(0, end)).toBe(content);
      received = received.slice(end + 1);
    }
  }
  expect(received).toBe("");
  socket.destroy();
}
