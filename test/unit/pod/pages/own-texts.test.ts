import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { mostFileBytes, mostFiles, readTexts } from "../../../../src/pod/pages/own-texts.ts";
import { builtInTexts, measure } from "../../../../src/pod/pages/texts.ts";
import { parsePlan } from "../../../../src/pod/plan.ts";
import { webFiles } from "../../../../src/pod/web.ts";

const one = (file: string, content: unknown) =>
  readTexts({ [file]: typeof content === "string" ? content : JSON.stringify(content) });
const italian = { "language.name": "Italiano" };

test("a built-in file is what a whole one of one's own looks like", () => {
  for (const [language, texts] of Object.entries(builtInTexts))
    expect(one(`texts.${language}.json`, texts)).toEqual({ texts: { [language]: texts }, problems: [], missing: {} });
  const whole = { ...measure, "language.name": "Italiano" };
  expect(one("texts.it.json", whole)).toEqual({ texts: { it: whole }, problems: [], missing: {} });
});

test("what is missing is counted where it will be in English", () => {
  const { "menu.index": _, "days.one": __, ...most } = { ...measure, ...italian } as Record<string, string>;
  expect(one("texts.it.json", most).missing).toEqual({ it: 1 });
  expect(one("texts.de.json", { "menu.index": "Rein" }).missing).toEqual({});
  expect(one("texts.pt-pt.json", { "language.name": "Português (Portugal)" }).missing).toEqual({});
});

test("other files are no texts", () => {
  expect(readTexts({ "index.html": "", "text.it.json": "x", "data.json": "x" }).problems).toEqual([]);
});

test.each([
  ["texts.json", {}, /^texts\.json: the name must be that of a language/],
  ["texts.IT.json", {}, /the name must be that of a language in lower case/],
  ["texts.it_CH.json", {}, /the name must be/],
  ["texts.new.json", italian, /the relay needs the address \/new itself/],
  ["texts.it.json", "{", /^texts\.it\.json: is not valid JSON/],
  ["texts.it.json", "[]", /must be an object/],
  ["texts.it.json", "null", /must be an object/],
  ["texts.it.json", '"x"', /must be an object/],
  ["texts.it.json", { "menu.index": "Entra" }, /language\.name is missing/],
  ["texts.it.json", `{"x":"${"y".repeat(mostFileBytes)}"}`, /is larger than 32 KiB/],
])("%s with %j is left out", (file, content, says) => {
  const { texts, problems } = one(file, content);
  expect(texts).toEqual({});
  expect(problems.join()).toMatch(says);
});

test.each([
  ["index.titel", "x", /^texts\.it\.json: index\.titel is not the name of a text$/],
  ["__proto__", "x", /is not the name of a text/],
  ["toString", "x", /is not the name of a text/],
  ["days", "x", /is not the name of a text/],
  ["days.dual", "{count} x", /is not the name of a text/],
  ["menu.index", 3, /menu\.index must be a text/],
  ["menu.index", null, /must be a text/],
  ["menu.index", " ", /must not be empty/],
  ["menu.index", "x".repeat(2001), /not be longer than 2000/],
  ["menu.index", "a\nb", /line breaks/],
  ["index.lead", "Per [Delta Chat]", /must contain \{name\}/],
  ["index.lead", "{name}", /must contain \[a link\]/],
  ["menu.index", "Entra {name}", /must not contain \{name\}/],
  ["menu.index", "[Entra]", /must not contain \[a link\]/],
  ["index.lead", "{name} {name} [Delta Chat]", /each insert once/],
  ["days.few", "giorni", /must contain \{count\}/],
  ["language.direction", "up", /must be "ltr" or "rtl"/],
])("of a file, %s as %j is left out, and the rest is used", (key, value, says) => {
  // as text: a key of this name in an object would be something else
  const { texts, problems } = one("texts.it.json", `{"language.name":"Italiano","${key}":${JSON.stringify(value)}}`);
  expect(texts).toEqual({ it: italian });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(says);
});

test("a mark of byte order before it does no harm", () => {
  expect(one("texts.it.json", `\uFEFF${JSON.stringify(italian)}`).texts).toEqual({ it: italian });
});

test("there is an end to how many", () => {
  const names = Array.from({ length: mostFiles + 1 }, (_, index) => `texts.a${String.fromCodePoint(97 + index)}.json`);
  const { texts, problems } = readTexts(Object.fromEntries(names.map((name) => [name, JSON.stringify(italian)])));
  expect(Object.keys(texts)).toHaveLength(mostFiles);
  expect(problems).toEqual([`${names.at(-1)}: there are more than 16 files of texts`]);
});

describe("in a plan", () => {
  const plan = (...texts: (object | undefined)[]) =>
    parsePlan(
      JSON.stringify({
        version: 1,
        domains: texts.map((each, index) => ({ domain: `d${index}.test`, ...(each && { website: { texts: each } }) })),
      }),
    );

  test("a language is there as built-in ones are, for its own domain alone", () => {
    const files = webFiles(plan({ it: { ...italian, "index.title": "<b>Ciao</b>" } }, undefined));
    const nginx = files["nginx.conf"] ?? "";
    expect(files["pages/index.it.html"]).toContain("<h1>&lt;b&gt;Ciao&lt;/b&gt;</h1>");
    expect(files["pages/index.en.html"]).toContain('<a href="/it/" hreflang="it"');
    expect(files["404.it.html"]).toContain('<html lang="it" dir="ltr">');
    expect(files["domains/d1.test/pages/index.en.html"]).toBeDefined();
    expect(files["domains/d1.test/pages/index.it.html"]).toBeUndefined();
    expect(files["domains/d1.test/pages/index.en.html"]).not.toContain("/it/");
    const [first = "", second = ""] = nginx.split("index index.").slice(1);
    expect(first).toMatch(/^\$language_1\.html/);
    expect(first).toContain("|zh|it)/?$");
    expect(second).toMatch(/^\$language\.html/);
    expect(second).toContain("|zh)/?$");
  });

  test("a text of one's own stands in the place of the built-in one", () => {
    const files = webFiles(plan({ de: { "index.title": "Servus" } }));
    expect(files["pages/index.de.html"]).toContain("<h1>Servus</h1>");
    expect(files["nginx.conf"]).not.toContain("$language_1");
  });

  test("a name that is no language's can't reach the configuration of nginx", () => {
    expect(() => plan({ "it|.*": {} })).toThrow(/is no language|Invalid key/);
  });
});

test("the sample in the documentation can be used", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/pages.md"), "utf8");
  const { data } = parse(/```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? "") as { data: Record<string, string> };
  const { texts, problems } = readTexts(data);
  expect(problems).toEqual([]);
  expect(Object.keys(texts).toSorted()).toEqual(["de", "it"]);
});
