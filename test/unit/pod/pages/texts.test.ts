/** The texts of the pages: the same in every language, and nothing of one in another. */
import { describe, expect, test } from "vitest";
import { languages, tagOf } from "../../../../src/pod/pages/language.ts";
import { insertsIn, problemOf } from "../../../../src/pod/pages/own-texts.ts";
import {
  builtInTexts,
  counted,
  linkTargets,
  measure,
  pluralCategories,
  type TextKey,
  Wording,
  Wordings,
} from "../../../../src/pod/pages/texts.ts";

const isCounted = (key: string) => counted.some((each) => pluralCategories.some((form) => key === `${each}.${form}`));
const plainKeys = (texts: object) => Object.keys(texts).filter((key) => !isCounted(key));
const others = languages.filter((language) => language !== "en");

describe.each(languages)("%s", (language) => {
  const texts = builtInTexts[language];

  test("has every text and none too many", () => {
    expect(plainKeys(texts)).toEqual(plainKeys(measure));
    for (const [key, text] of Object.entries(texts)) expect(problemOf(key, text), key).toBeUndefined();
  });

  test("has a form for every number, and no form that no number has", () => {
    const rules = new Intl.PluralRules(tagOf(language));
    const used = new Set(Array.from({ length: 1000 }, (_, count) => rules.select(count)));
    for (const each of counted) {
      const forms = pluralCategories.filter((form) => Object.hasOwn(texts, `${each}.${form}`));
      expect(new Set(forms), each).toEqual(new Set([...used, "other"]));
    }
  });

  test("has links where the pages know a target", () => {
    for (const [key, text] of Object.entries(texts))
      expect(insertsIn(text).includes("[a link]"), key).toBe(linkTargets[key as TextKey] !== undefined);
  });

  test("has no spaces too many and no straight quotation marks", () => {
    for (const [key, text] of Object.entries(texts)) {
      expect(text, key).toBe(text.trim());
      expect(text, key).not.toMatch(/ {2}|["'<>&]| [.,]/);
    }
  });

  test("knows what its readers call it, and which way they read", () => {
    const { name, direction } = new Wording(language, {});
    const called = new Intl.DisplayNames([tagOf(language)], { type: "language" }).of(tagOf(language));
    expect(name.toLowerCase()).toBe(called?.toLowerCase());
    expect(direction).toBe(language === "fa" ? "rtl" : "ltr");
  });
});

describe("no text is left in another language", () => {
  /** The same word by nature. */
  const same: Partial<Record<string, readonly string[]>> = {
    fr: ["menu.label", "privacy.mail", "privacy.messages.term"],
  };

  test.each(others)("%s has none in English", (language) => {
    const texts = builtInTexts[language];
    const equal = plainKeys(texts).filter((key) => texts[key] === measure[key] && key !== "language.direction");
    expect(equal).toEqual(same[language] ?? []);
  });

  test("no two languages have the same sentence", () => {
    const seen = new Map<string, string>();
    for (const language of languages) {
      for (const [key, text] of Object.entries(builtInTexts[language])) {
        if (text.length < 40) continue;
        expect(seen.get(text), `${language} ${key}`).toBeUndefined();
        seen.set(text, language);
      }
    }
  });

  const scripts = { ru: "Cyrillic", uk: "Cyrillic", fa: "Arabic", zh: "Han" } as const;
  /** Names and signs that are written so everywhere. */
  const latin = /Delta Chat|[Cc]hatmail|QR|IP|GDPR|Push|push|[Cc]ookie|\bb\b|\{\w+\}/g;

  test.each(Object.entries(scripts))("%s is in %s letters, names apart", (language, script) => {
    const texts = builtInTexts[language as keyof typeof scripts];
    const foreign = new RegExp(`(?!\\p{Script=${script}})\\p{L}`, "u");
    for (const [key, text] of Object.entries(texts)) {
      if (key === "language.direction") continue;
      expect(foreign.exec(text.replaceAll(latin, ""))?.[0], `${key}: ${text}`).toBeUndefined();
    }
  });

  /** Letters and words of one language that the other one does not have. */
  test.each([
    ["uk", /[ыэъё]/],
    ["ru", /[іїєґ]/],
    ["es", /[ãõç]|\b(os|você|com|são)\b/],
    ["pt", /[ñ¿¡]|\b(el|y|con|una)\b/],
    ["fa", /[كي]/], // Arabic letters that Persian has others for
  ] as const)("%s has nothing of its neighbour", (language, neighbour) => {
    for (const [key, text] of Object.entries(builtInTexts[language])) expect(text, key).not.toMatch(neighbour);
  });

  test.each(others)("%s has no English words", (language) => {
    const common = /\b(the|and|your|you|is|are|with|from|messages?|address|when|not|other)\b/i;
    const may = language === "fr" ? /\bmessages?\b/gi : /(?!)/g;
    for (const [key, text] of Object.entries(builtInTexts[language]))
      expect(text.replaceAll(/\{\w+\}/g, "").replaceAll(may, ""), key).not.toMatch(common);
  });
});

describe("a wording", () => {
  const wordings = new Wordings();

  test.each([
    ["en", 1, "1 day"],
    ["en", 20, "20 days"],
    ["ru", 1, "1 день"],
    ["ru", 3, "3 дня"],
    ["ru", 20, "20 дней"],
    ["ru", 21, "21 день"],
    ["uk", 14, "14 днів"],
    ["fr", 1, "1 jour"],
    ["tr", 7, "7 gün"],
    ["fa", 20, "۲۰ روز"],
    ["zh", 90, "90 天"],
  ])("in %s counts %i as %s", (language, count, said) =>
    expect(wordings.of(language).counted("days", count)).toBe(said),
  );

  test("puts values in, and escapes all but them", () => {
    const own = { de: { "invite.lead": "<b>{name}</b> & [Delta <i>Chat]" } };
    const said = new Wordings(own).of("de").html("invite.lead", { name: "<bdi>[192.0.2.9]</bdi>" });
    expect(said).toBe(
      '&lt;b&gt;<bdi>[192.0.2.9]</bdi>&lt;/b&gt; &amp; <a href="https://delta.chat/" rel="noreferrer">Delta &lt;i&gt;Chat</a>',
    );
    expect(wordings.of("en").plain("invite.title", { name: "a.test" })).toBe("You are invited to a.test");
  });

  test("of a language that is not there is English", () => {
    for (const language of [undefined, "", "xx", "__proto__", "constructor"])
      expect(wordings.of(language).language).toBe("en");
  });

  test("takes what a language lacks from the wider one, and from English", () => {
    const own = new Wordings({
      "pt-pt": { "language.name": "Português (Portugal)" },
      it: { "language.name": "Italiano" },
    });
    expect(own.languages.slice(-2)).toEqual(["it", "pt-pt"]);
    expect(own.of("pt-pt").plain("menu.index")).toBe("Participar");
    expect(own.of("it").plain("menu.index")).toBe("Join");
    expect(own.of("it").counted("days", 1)).toBe("1 day");
  });

  test("may be written from the right", () => {
    const own = new Wordings({ he: { "language.name": "עברית", "language.direction": "rtl" } });
    expect(own.of("he")).toMatchObject({ direction: "rtl", tag: "he", name: "עברית" });
  });
});
