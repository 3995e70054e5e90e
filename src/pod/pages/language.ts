/** The languages of the built-in pages, and how nginx chooses among them. */

/** The first is for browsers that ask for none of them. */
export const languages = ["en", "de"] as const;
export type Language = (typeof languages)[number];

export const languageNames: Record<Language, string> = { en: "English", de: "Deutsch" };

/**
 * The lines of nginx's `map $http_accept_language $language`: that one of our languages which the
 * browser names first. Browsers send them in their order; the weights say the same again.
 */
export function languageMap(): string {
  const [first, ...others] = languages;
  const lines = others.map((language) => {
    const rest = languages.filter((each) => each !== language).join("|");
    return `    "~*^(?:(?! *(?:${rest})\\b)[^,]*,)* *${language}\\b" ${language};`;
  });
  return [`    default ${first};`, ...lines].join("\n");
}

export function isLanguage(text: string | undefined): text is Language {
  return (languages as readonly (string | undefined)[]).includes(text);
}
