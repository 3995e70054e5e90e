/** A command in a container, on the wire: what the API server says over the WebSocket. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { Credentials } from "../../../src/kube/credentials.ts";
import { execIn } from "../../../src/kube/exec.ts";
import { streamIn } from "../../../src/kube/exec-stream.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const at = { namespace: "mail", pod: "nine-0", container: "relay" };
const signal = new AbortController().signal;
const channel = (number: number, text: string) => Buffer.concat([Buffer.from([number]), Buffer.from(text)]);

async function serving(answer: (socket: WebSocket, url: string) => void): Promise<Credentials> {
  server = createServer();
  const sockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered][0] ?? false });
  sockets.on("connection", (socket, request) => answer(socket, request.url ?? ""));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return { server: url, tls: {}, namespace: undefined, headers: async () => ({ authorization: "Bearer t" }) };
}

test("what it writes and how it ends", async () => {
  let asked = "";
  const credentials = await serving((socket, url) => {
    asked = `${socket.protocol} ${url}`;
    socket.send(channel(1, "one "));
    socket.send(channel(2, "bad"));
    socket.send(channel(1, "two"));
    const causes = [{ reason: "ExitCode", message: "7" }];
    socket.send(channel(3, JSON.stringify({ status: "Failure", reason: "NonZeroExitCode", details: { causes } })));
    socket.close();
  });
  const ran = await execIn(credentials, at, ["node", "-e", "a b"], signal);
  expect(ran).toEqual({ code: 7, stdout: "one two", stderr: "bad" });
  expect(asked).toBe(
    "v5.channel.k8s.io /api/v1/namespaces/mail/pods/nine-0/exec?container=relay&stdout=true&stderr=true&command=node&command=-e&command=a+b",
  );
});

test.each([
  {
    when: "the program does not exist",
    answer: (socket: WebSocket) => {
      socket.send(channel(3, JSON.stringify({ status: "Failure", reason: "InternalError", message: "no such file" })));
      socket.close();
    },
    says: /no such file/,
  },
  {
    when: "the connection breaks",
    answer: (socket: WebSocket) => socket.terminate(),
    says: /ended before the command did/,
  },
])("$when", async ({ answer, says }) => {
  const credentials = await serving(answer);
  await expect(execIn(credentials, at, ["it"], signal)).rejects.toThrow(says);
});

test("a refusal has the API server's own words", async () => {
  server = createServer((_, response) => {
    response.writeHead(403, { "content-type": "application/json" });
    response.end(JSON.stringify({ message: 'User "jane" cannot create resource "pods/exec"', reason: "Forbidden" }));
  });
  server.on("upgrade", (_, socket) => {
    const text = JSON.stringify({ message: 'cannot create resource "pods/exec"', reason: "Forbidden" });
    socket.end(
      `HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const credentials = { server: url, tls: {}, namespace: undefined, headers: async () => ({}) };
  await expect(execIn(credentials, at, ["it"], signal)).rejects.toMatchObject({ status: 403, reason: "Forbidden" });
});

test("a refusal on a connection that the API server keeps open ends it", async () => {
  server = createServer();
  const closed = new Promise<string>((resolve) => {
    server?.on("upgrade", (_, socket) => {
      // as Go's server does, for 90 s
      socket.write("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
      socket.on("end", () => resolve("closed")).on("error", () => resolve("closed"));
      socket.resume();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const credentials = { server: url, tls: {}, namespace: undefined, headers: async () => ({}) };
  await expect(execIn(credentials, at, ["it"], signal)).rejects.toThrow(/403/);
  expect(await closed).toBe("closed");
});

test("whoever no longer waits is not kept", async () => {
  const stopping = new AbortController();
  const credentials = await serving(() => stopping.abort(new Error("interrupted")));
  await expect(execIn(credentials, at, ["it"], stopping.signal)).rejects.toThrow("interrupted");
});

describe("a command that is written to", () => {
  const success = channel(3, JSON.stringify({ status: "Success" }));

  test("more than one message of input, and output while it comes", async () => {
    let [asked, got] = ["", 0];
    const credentials = await serving((socket, url) => {
      asked = url;
      socket.on("message", (data: Buffer) => {
        expect(data[0]).toBe(0);
        got += data.length - 1;
        socket.send(channel(1, `${got} `));
        if (got < 100_000) return;
        socket.send(success);
        socket.close();
      });
    });
    const running = streamIn(credentials, at, ["it"], { signal });
    await running.write(Buffer.alloc(100_000));
    let output = "";
    for await (const chunk of running.output) output += chunk.toString();
    expect(output).toMatch(/^32768 .* 100000 $/);
    expect(await running.ended).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(asked).toContain("stdin=true");
  });

  test("a connection that breaks ends writing, output and all", async () => {
    const credentials = await serving((socket) => socket.terminate());
    const running = streamIn(credentials, at, ["it"], { signal });
    const writing = (async () => {
      for (;;) await running.write(Buffer.alloc(1000));
    })();
    await expect(writing).rejects.toThrow();
    await expect(running.ended).rejects.toThrow(/ended before the command did/);
    await expect(Array.fromAsync(running.output)).rejects.toThrow(/ended before the command did/);
  });
});
