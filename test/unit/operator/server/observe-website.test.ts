import { describe, expect, test } from "vitest";
import { pagesIn, pagesProblem, versionsProblem } from "../../../../src/operator/server/observe-website.ts";
import { websiteVerdict } from "../../../../src/operator/server/verdicts/website.ts";

test.each([
  { when: "there is none", found: undefined, says: /^there is no ConfigMap mine/ },
  { when: "it is empty", found: {}, says: /has no index\.html/ },
  { when: "it has other files", found: { data: { "home.html": "" } }, says: /has no index\.html/ },
  { when: "it has a front page", found: { data: { "index.html": "" } }, says: undefined },
  { when: "it has one in a language", found: { data: { "index.de.html": "" } }, says: undefined },
  { when: "it has texts alone", found: { data: { "texts.it.json": "{}" } }, says: undefined },
  { when: "it is binary", found: { binaryData: { "index.html": "" } }, says: undefined },
])("pages: $says where $when", ({ found, says }) => {
  const problem = pagesProblem("mine", found);
  if (says) expect(problem).toMatch(says);
  else expect(problem).toBeUndefined();
});

describe("texts", () => {
  const of = (data: Record<string, string>) => pagesIn("mine", { data });

  test("beside no front page: the built-in pages are served, with them", () => {
    const pages = of({ "texts.de.json": '{ "index.title": "Hallo" }' });
    expect(pages).toMatchObject({ problem: undefined, hasFrontPage: false, textsProblem: undefined });
    expect(pages.texts).toEqual({ de: { "index.title": "Hallo" } });
    expect(websiteVerdict({ pages })).toMatchObject({
      status: "True",
      message: "from ConfigMap mine, with texts in de",
    });
  });

  test("that are missing in a language of one's own are in English, and counted", () => {
    const pages = of({ "index.html": "", "texts.it.json": '{ "language.name": "Italiano", "menu.index": "Entra" }' });
    expect(pages).toMatchObject({ hasFrontPage: true, textsProblem: undefined });
    expect(pages.notes).toMatch(/^with texts in it \(\d\d missing, in English\)$/);
  });

  test("that are wrong are named, five of them at most, and the others are used", () => {
    const wrong = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`x${index}`, "y"]));
    const pages = of({ "texts.fr.json": JSON.stringify({ "menu.index": "Entrer", ...wrong }) });
    expect(pages.texts).toEqual({ fr: { "menu.index": "Entrer" } });
    const { status, reason, message } = websiteVerdict({ pages });
    expect({ status, reason }).toEqual({ status: "False", reason: "WebsiteTextsInvalid" });
    expect(message).toMatch(
      /^in ConfigMap mine, .*texts\.fr\.json: x0 is not the name of a text; .*; and 4 more\. What/,
    );
  });

  test("that are not UTF-8 are named", () => {
    const pages = pagesIn("mine", { binaryData: { "texts.it.json": "/w==" } });
    expect(pages.textsProblem).toContain("texts.it.json: is not text in UTF-8");
  });
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
