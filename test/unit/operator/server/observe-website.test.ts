import { expect, test } from "vitest";
import { pagesProblem, versionsProblem } from "../../../../src/operator/server/observe-website.ts";

test.each([
  { when: "there is none", found: undefined, says: /^there is no ConfigMap mine/ },
  { when: "it is empty", found: {}, says: /has no index\.html/ },
  { when: "it has other files", found: { data: { "home.html": "" } }, says: /has no index\.html/ },
  { when: "it has a front page", found: { data: { "index.html": "" } }, says: undefined },
  { when: "it has one in a language", found: { data: { "index.de.html": "" } }, says: undefined },
  { when: "it is binary", found: { binaryData: { "index.html": "" } }, says: undefined },
])("pages: $says where $when", ({ found, says }) => {
  const problem = pagesProblem("mine", found);
  if (says) expect(problem).toMatch(says);
  else expect(problem).toBeUndefined();
});

test.each([
  { when: "there is none", found: undefined, says: /^there is no ConfigMap mine/ },
  { when: "its key is missing", found: { data: { "versions.json": "{}" } }, says: /has no key appversions\.json/ },
  { when: "it is not JSON", found: { data: { "appversions.json": "{" } }, says: /is not valid JSON/ },
  { when: "it is there", found: { data: { "appversions.json": "{}" } }, says: undefined },
])("app versions: $says where $when", ({ found, says }) => {
  const problem = versionsProblem("mine", found);
  if (says) expect(problem).toMatch(says);
  else expect(problem).toBeUndefined();
});
