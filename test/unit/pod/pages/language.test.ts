/** How nginx chooses a language: its maps are read here as nginx reads them. */
import { describe, expect, test } from "vitest";
import { isLanguageName, languageMaps, languages, tagOf } from "../../../../src/pod/pages/language.ts";

/** The value of `$NAME` for a request with these. */
function chosen(text: string, name: string, request: Readonly<Record<string, string>>): string {
  const [, from = "", body = ""] = new RegExp(`map [$](\\w+) [$]${name} \\{\\n([^]*?)  \\}\\n`).exec(text) ?? [];
  const source = request[from] ?? (text.includes(`$${from} {`) ? chosen(text, from, request) : "");
  let otherwise = "";
  for (const line of body.trim().split("\n")) {
    const [, key = "", value = ""] = /^\s*("[^"]*"|\S+) (\S+);$/.exec(line) ?? [];
    if (key === "default") otherwise = value;
    else if (key.startsWith('"~*')) {
      const found = new RegExp(key.slice(3, -1), "i").exec(source);
      if (found) return value.replace("$1", found[1] ?? "");
    } else if (key === source.toLowerCase()) return value;
  }
  if (otherwise.startsWith("$")) return chosen(text, otherwise.slice(1), request);
  return otherwise === '""' ? "" : otherwise;
}

const built = languageMaps("language", languages);
const choose = (accept: string, lang = "", maps = built) =>
  chosen(maps, "language", { http_accept_language: accept, arg_lang: lang });

test.each([
  ["", "en"],
  ["en-US,en;q=0.9", "en"],
  ["de", "de"],
  ["DE-at, en;q=0.5", "de"],
  ["en,de;q=0.9", "en"],
  ["it-IT,it;q=0.9,de;q=0.8,en;q=0.7", "de"],
  ["it, en-GB;q=0.8, de;q=0.5", "en"],
  ["it", "en"],
  ["den,ende,deu", "en"],
  ["*", "en"],
  ["pt-BR,pt;q=0.9,en-US;q=0.8", "pt"],
  ["pt-PT", "pt"],
  ["fa-IR,fa;q=0.9,en;q=0.8", "fa"],
  ["uk-UA,uk;q=0.9,ru;q=0.8,en;q=0.7", "uk"],
  ["zh-CN,zh;q=0.9,en;q=0.8", "zh"],
  ["zh-Hans-CN", "zh"],
  ["zh", "zh"],
  ["es-419,es;q=0.9", "es"],
])("a browser that asks for %j gets %s", (accept, language) => expect(choose(accept)).toBe(language));

test.each([
  ["en;q=0.5, de;q=0.9", "de"],
  ["en;q=0.8,fr;q=0.9,de;q=0.7", "fr"],
  ["en;q=0.1, tr", "tr"],
  ["ru;q=1.000,en", "ru"],
  ["de;q=0,fr;q=0.2", "fr"],
  ["de;q=0", "en"],
  ["de;q=0.000", "en"],
  ["de;q=0.05", "de"],
  ["it;q=1, es ; q=0.3 , en;q=0.2", "es"],
])("the weights of %j count, not the order: %s", (accept, language) => expect(choose(accept)).toBe(language));

test.each([
  ["zh-TW,zh;q=0.9,en;q=0.8", "zh"],
  ["zh-TW,en;q=0.8", "en"],
  ["zh-Hant-HK,de;q=0.8", "de"],
])("readers of traditional characters (%j) get simplified ones where they ask for them: %s", (accept, language) =>
  expect(choose(accept)).toBe(language),
);

test("?lang= comes before the browser, where it names one of the languages", () => {
  expect(choose("de", "fa")).toBe("fa");
  expect(choose("de", "FA")).toBe("fa");
  for (const nonsense of ["", "xx", "../de", "de.html", "%0a"]) expect(choose("de", nonsense)).toBe("de");
});

describe("languages of the user's own", () => {
  const maps = languageMaps("language", [...languages, "it", "pt-pt", "zh-tw"]);

  test.each([
    ["it-CH,de;q=0.9", "it"],
    ["pt-PT,pt;q=0.9", "pt-pt"],
    ["pt-BR", "pt"],
    ["zh-TW,zh;q=0.9", "zh-tw"],
    ["zh-CN", "zh"],
  ])("a browser that asks for %j gets %s", (accept, language) => expect(choose(accept, "", maps)).toBe(language));
});

test.each([
  ["it", true],
  ["pt-pt", true],
  ["zh-hant-tw", true],
  ["IT", false],
  ["it_ch", false],
  ["it-12", false],
  ["i", false],
  ["toolong", false],
  ["..", false],
  ["it;}", false],
])("%j may be the name of a language: %s", (text, may) => expect(isLanguageName(text)).toBe(may));

test("the tag says which characters are meant", () => {
  expect(tagOf("zh")).toBe("zh-Hans");
  expect(tagOf("pt-pt")).toBe("pt-PT");
  expect(tagOf("fa")).toBe("fa");
});
