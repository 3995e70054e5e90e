import { expect, test } from "vitest";
import { ChatmailServerModel } from "../../../src/api/model.ts";

test("a manifest with what was given and nothing else", () => {
  const server = new ChatmailServerModel({
    metadata: { name: "nine" },
    spec: { domain: "_nine.test", messages: { maxSize: "10Mi" } },
  });
  server.validate();
  expect(JSON.parse(JSON.stringify(server))).toEqual({
    apiVersion: "chatmail.dev/v1alpha1",
    kind: "ChatmailServer",
    metadata: { name: "nine" },
    spec: { domain: "_nine.test", messages: { maxSize: "10Mi" } },
  });
  expect(ChatmailServerModel.is(server)).toBe(true);
  expect(ChatmailServerModel.is({ apiVersion: "v1", kind: "Pod" })).toBe(false);
});

test("validate names field and rule", () => {
  const server = new ChatmailServerModel({
    metadata: { name: "nine" },
    spec: { domain: "Nine", messages: { deleteAfterDays: 40 } },
  });
  expect(() => server.validate()).toThrow(
    /^ChatmailServer nine is invalid: spec\.domain: domain must be .*; spec\.messages\.deleteAfterDays: /,
  );
});
