/** The languages of the built-in pages, and how nginx chooses among them. */

/** The first is for browsers that ask for none of them; the others in the order of their links. */
export const languages = ["en", "de", "es", "fr", "pt", "ru", "uk", "tr", "fa", "zh"] as const;
export type BuiltInLanguage = (typeof languages)[number];

/** As in the name of a file and in an address: a tag of BCP 47, in lower case. */
export function isLanguageName(text: string): boolean {
  return /^[a-z]{2,3}(-[a-z0-9]{2,8}){0,2}$/.test(text) && canonical(text) !== undefined;
}

function canonical(language: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(language)[0];
  } catch {
    return undefined;
  }
}

/** Where the tag of a language says more than its name in addresses: fonts and voices go by it. */
const exactTags: Readonly<Record<string, string>> = { zh: "zh-Hans" };
export const tagOf = (language: string): string => exactTags[language] ?? canonical(language) ?? language;

/** Readers of these tags are not helped by a page in the language before the hyphen. */
const notMeant: Readonly<Record<string, string>> = { zh: "hant|tw|hk|mo" };

/**
 * nginx's maps to the variable `$NAME`, one of these languages (RFC 9110 §12.5.4): that of `?lang=`
 * in the address, else the one that the browser gives the highest weight, of equal ones the first.
 * `pt` is for readers of `pt-BR`, too. Weights count to one decimal place.
 */
export function languageMaps(name: string, offered: readonly string[]): string {
  const [first = "en"] = offered;
  // a longer tag before its beginning
  const names = offered.toSorted((one, other) => other.length - one.length || (one < other ? -1 : 1));
  const any = names.map((each) => (notMeant[each] ? `${each}(?!-(?:${notMeant[each]})\\b)` : each)).join("|");
  const maps = weights.map((weight, index) => {
    const otherwise = index === 0 ? '""' : `$${name}_q${index - 1}`;
    return map("http_accept_language", `${name}_q${index}`, otherwise, [
      `"~*(?:^|,)\\s*(${any})(?:-[a-z0-9-]*)?\\s*${weight}\\s*(?:,|$)" $1`,
    ]);
  });
  const own = offered.map((each) => `${each} ${each}`);
  return [
    ...maps,
    map("arg_lang", `${name}_wanted`, `$${name}_q${weights.length - 1}`, own),
    // a browser may write it in capitals
    map(`${name}_wanted`, name, first, own),
  ].join("");
}

/** From the lowest to the highest; what has the weight 0 is not wanted. */
const weights = [
  ";\\s*q=0[.]0[0-9]*[1-9][0-9]*",
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((tenths) => `;\\s*q=0[.]${tenths}[0-9]*`),
  "(?:;\\s*q=1(?:[.]0*)?)?",
];

const map = (from: string, to: string, otherwise: string, lines: readonly string[]) => `  map $${from} $${to} {
    default ${otherwise};
${lines.map((line) => `    ${line};\n`).join("")}  }
`;
