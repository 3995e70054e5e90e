/**
 * Every sentence of the built-in pages, in each of their languages: `texts/LANGUAGE.json`. A text
 * is plain. `{name}` is where the page inserts something, `[words]` are a link whose target belongs
 * to the page.
 */
import { escapeHtml } from "./escape.ts";
import { type BuiltInLanguage, languages, tagOf } from "./language.ts";
import de from "./texts/de.json" with { type: "json" };
import en from "./texts/en.json" with { type: "json" };
import es from "./texts/es.json" with { type: "json" };
import fa from "./texts/fa.json" with { type: "json" };
import fr from "./texts/fr.json" with { type: "json" };
import pt from "./texts/pt.json" with { type: "json" };
import ru from "./texts/ru.json" with { type: "json" };
import tr from "./texts/tr.json" with { type: "json" };
import uk from "./texts/uk.json" with { type: "json" };
import zh from "./texts/zh.json" with { type: "json" };

export type TextKey = keyof typeof en;
export type Texts = Readonly<Record<string, string>>;

export const builtInTexts: Readonly<Record<BuiltInLanguage, Texts>> = { en, de, es, fr, pt, ru, uk, tr, fa, zh };

/** English: the language of a text that is in no other one, and the measure of all. */
export const measure: Texts = en;

/** Texts that depend on a number have one for each plural category of the language (CLDR). */
export const counted = ["days", "info.perMinute"] as const;
export const pluralCategories = ["zero", "one", "two", "few", "many", "other"] as const;

/** Where the words in brackets lead to. */
const deltaChat = "https://delta.chat/";
export const linkTargets: Partial<Record<TextKey, string>> = {
  footer: deltaChat,
  "index.lead": deltaChat,
  "invite.lead": deltaChat,
  "join.install": "https://get.delta.chat/",
};

/** `{name}` or `[words]`. */
export const inserts = /\{(\w+)\}|\[([^[\]]*)\]/g;

/** By language, texts that a relay has beside or instead of the built-in ones. */
export type OwnTexts = Readonly<Record<string, Texts>>;

/** The words of one relay in one language. */
export class Wording {
  readonly language: string;
  readonly tag: string;
  /** What its readers call it. */
  readonly name: string;
  readonly direction: "ltr" | "rtl";
  readonly #texts: readonly (Texts | undefined)[];
  /** Made when a number is first asked for: the other pages need none. */
  #rules: { plural: Intl.PluralRules; number: Intl.NumberFormat } | undefined;

  constructor(language: string, own: OwnTexts) {
    const built: Readonly<Record<string, Texts>> = builtInTexts;
    const [wider = ""] = language.split("-");
    this.language = language;
    this.tag = tagOf(language);
    this.#texts = [own[language], built[language], own[wider], built[wider], en];
    this.name = this.#text("language.name");
    this.direction = this.#text("language.direction") === "rtl" ? "rtl" : "ltr";
  }

  #numbers() {
    if (this.#rules) return this.#rules;
    const locale = Intl.NumberFormat.supportedLocalesOf(this.tag)[0] ?? "en";
    const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1, useGrouping: false });
    this.#rules = { plural: new Intl.PluralRules(locale), number };
    return this.#rules;
  }

  #find(key: string): string | undefined {
    for (const texts of this.#texts) {
      if (texts && Object.hasOwn(texts, key)) return texts[key];
    }
    return undefined;
  }

  #text(key: string): string {
    return this.#find(key) ?? "";
  }

  /** For the title of a page and the like; the values are plain, too. */
  plain(key: TextKey, values: Readonly<Record<string, string>> = {}): string {
    return this.#text(key).replaceAll(inserts, (_, name?: string, words?: string) =>
      name === undefined ? (words ?? "") : (values[name] ?? ""),
    );
  }

  /** As HTML shows it; the values are HTML. */
  html(key: TextKey, values: Readonly<Record<string, string>> = {}): string {
    const target = linkTargets[key];
    return escapeHtml(this.#text(key)).replaceAll(inserts, (_, name?: string, words?: string) => {
      if (name !== undefined) return values[name] ?? "";
      return target ? `<a href="${target}" rel="noreferrer">${words}</a>` : (words ?? "");
    });
  }

  /** "20 days" as HTML, in the plural form and with the digits of the language. */
  counted(key: (typeof counted)[number], count: number): string {
    const text = this.#find(`${key}.${this.#numbers().plural.select(count)}`) ?? this.#text(`${key}.other`);
    return escapeHtml(text).replaceAll("{count}", this.number(count));
  }

  number(value: number): string {
    return this.#numbers().number.format(value);
  }
}

/** The languages of one relay, in the order of their links. */
export class Wordings {
  readonly languages: readonly string[];
  readonly #own: OwnTexts;
  readonly #made = new Map<string, Wording>();

  constructor(own: OwnTexts = {}) {
    this.#own = own;
    this.languages = languagesWith(own);
  }

  /** English where there is no such language. */
  of(language: string | undefined): Wording {
    const known = language !== undefined && this.languages.includes(language) ? language : languages[0];
    const made = this.#made.get(known) ?? new Wording(known, this.#own);
    this.#made.set(known, made);
    return made;
  }

  get all(): readonly Wording[] {
    return this.languages.map((language) => this.of(language));
  }
}

export function languagesWith(own: OwnTexts = {}): readonly string[] {
  const more = Object.keys(own).filter((language) => !(languages as readonly string[]).includes(language));
  return [...languages, ...more.toSorted()];
}
