/**
 * The keys that a relay signs with, as they stand in the Secret and in the pod: one file for each,
 * named after the selector under which other relays look for it, and a file that says which of them
 * sign. Without that file all of them do.
 */
import * as z from "zod";
import { signsMail } from "../mail/address.ts";
import { domainFolder, folders } from "./layout.ts";

/** The key that the operator makes first, where `dkim.selectorPrefix` is the built-in one. */
export const rsaKey = { file: "rsa.pem", selector: "chatmail" } as const;

/** Files that are not named after their selector. */
const otherNames: Readonly<Record<string, string>> = {
  [rsaKey.selector]: rsaKey.file,
  "chatmail-ed25519": "ed25519.pem",
};

const ending = ".pem";
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export const keyFileOf = (selector: string): string => otherNames[selector] ?? `${selector}${ending}`;

/** Undefined for a file that is not named as one of a key. */
function selectorOfFile(file: string): string | undefined {
  const other = Object.entries(otherNames).find(([, name]) => name === file)?.[0];
  if (other !== undefined) return other;
  const selector = file.endsWith(ending) ? file.slice(0, -ending.length) : "";
  return label.test(selector) ? selector : undefined;
}

/** Which keys there are, and what each is for. Written by the operator, read by the signer, too. */
export const rotationFile = "rotation.json";

/** A signer of another version knows which keys sign, whatever else is said of them. */
const SigningKeys = z.object({
  sets: z.array(z.object({ state: z.string(), selectors: z.array(z.string().regex(label)) })),
});

/**
 * The selectors that mail is signed with, of the files in a Secret; `read` gives the text of one.
 * Throws where the file that says so can't be read.
 */
export function signingSelectors(files: readonly string[], read: (file: string) => string): string[] {
  if (!files.includes(rotationFile)) return selectorsIn(files);
  const { sets } = SigningKeys.parse(JSON.parse(read(rotationFile)));
  return sets.filter(({ state }) => state === "Active").flatMap(({ selectors }) => selectors);
}

/** Of all files that are named as those of keys, the one that the operator makes first. */
export const selectorsIn = (files: readonly string[]): string[] =>
  [...files]
    .flatMap((file) => selectorOfFile(file) ?? [])
    .sort((a, b) => Number(b === rsaKey.selector) - Number(a === rsaKey.selector) || (a < b ? -1 : 1));

/** Folder of a domain's keys in the relay container; undefined where it signs no mail. */
export function dkimFolder(domain: string): string | undefined {
  return signsMail(domain) ? domainFolder(folders.dkim, domain) : undefined;
}
