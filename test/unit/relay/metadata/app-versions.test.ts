import { expect, test } from "vitest";
import { appVersions } from "../../../../src/relay/metadata/app-versions.ts";

const source = {
  sourceId: "gplay",
  versionInteger: 754,
  versionString: "2.57.0",
  downloadUrl: "https://github.com/deltachat/deltachat-android/releases",
};
const versions = (...clients: unknown[]) => JSON.stringify({ clients }, null, 2);
const android = (...sources: unknown[]) => ({ clientId: "deltachat", sources });

test("comes as one line", () => {
  expect(appVersions(versions(android(source)))).toEqual({
    line: `{"clients":[{"clientId":"deltachat","sources":[{"sourceId":"gplay","versionInteger":754,"versionString":"2.57.0","downloadUrl":"https://github.com/deltachat/deltachat-android/releases"}]}]}`,
  });
});

test.each([
  ["the greatest number", { versionInteger: 2 ** 32 - 1 }],
  ["the other site", { downloadUrl: "https://download.delta.chat/android/deltachat.apk" }],
  ["no site", { downloadUrl: undefined }],
])("with %s", (_, over) => {
  expect(appVersions(versions(android({ ...source, ...over })))).toEqual({ line: expect.stringContaining("gplay") });
});

test.each([
  ["a text without JSON", "{", "not JSON"],
  ["no object", "[]", "appversions must be an object"],
  ["no list", '{"clients":{}}', "appversions.clients must be a list"],
  ["a misspelt name", versions({ clientID: "deltachat", sources: [] }), "clients[0] has an unknown clientID"],
  [
    "a number as text",
    versions(android({ ...source, versionInteger: "754" })),
    "versionInteger must be a whole number",
  ],
  ["too great a number", versions(android({ ...source, versionInteger: 2 ** 32 })), "versionInteger must be a whole"],
  ["a negative number", versions(android({ ...source, versionInteger: -1 })), "versionInteger must be a whole number"],
  ["no version", versions(android({ sourceId: "x", versionInteger: 1 })), "versionString must be a text"],
  ["the same source twice", versions(android(source, source)), "has the same sourceId twice"],
  ["the same client twice", versions(android(source), android()), "has the same clientId twice"],
  ["another site", versions(android({ ...source, downloadUrl: "https://example.org/x" })), "must begin with https://"],
  ["null", versions(null), "clients[0] must be an object"],
  ["too much", versions(android({ ...source, versionString: "x".repeat(40_000) })), "more than 32768 bytes"],
])("%s is not handed out", (_, text, problem) => {
  expect(appVersions(text)).toEqual({ problem: expect.stringContaining(problem) });
});
