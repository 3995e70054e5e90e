/** ChatmailServers for tests, with good defaults. */
import { type ChatmailServer, ChatmailServerSpec } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../src/api/names.ts";

export type SpecInput = Record<string, unknown>;

export function aServer(spec: SpecInput = {}, metadata: Partial<ChatmailServer["metadata"]> = {}): ChatmailServer {
  return {
    apiVersion,
    kind: chatmailServer.kind,
    metadata: {
      name: "nine",
      namespace: "chatmail",
      uid: "00000000-0000-4000-8000-000000000009",
      generation: 1,
      creationTimestamp: "2026-11-01T00:00:00Z",
      ...metadata,
    },
    spec: ChatmailServerSpec.parse({ domain: "_nine.test", ...spec }),
  };
}
