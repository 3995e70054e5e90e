/**
 * An SMTP server with TLS that takes everything and keeps nothing: what the load alone can do. A
 * process of its own, which tells its port.
 */
import { createServer } from "node:tls";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";

const { certificatePem, keyPem } = await makeSelfSigned("_sink.test", new Date());
const server = createServer({ cert: certificatePem, key: keyPem }, (socket) => {
  let held = "";
  let inData = false;
  socket.on("error", () => socket.destroy());
  socket.write("220 sink\r\n");
  socket.on("data", (chunk: Buffer) => {
    held += chunk.toString("latin1");
    if (inData) {
      if (!held.endsWith("\r\n.\r\n")) return;
      inData = false;
      held = "";
      socket.write("250 taken\r\n");
      return;
    }
    const lines = held.split("\r\n");
    held = lines.pop() ?? "";
    inData = lines.includes("DATA");
    socket.write(lines.map((line) => replies[line.slice(0, 4)] ?? "250 ok\r\n").join(""));
  });
});
const replies: Readonly<Record<string, string>> = { AUTH: "235 ok\r\n", DATA: "354 go on\r\n" };
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as { port: number }).port));
process.on("disconnect", () => process.exit());
