/**
 * Sizes as users write them in a spec: a whole number with an optional unit, as in the Kubernetes
 * API.
 */

const factors = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
} as const;

/**
 * "512Mi", "1Gi": as the API server writes it, so that an object that was applied equals what was
 * sent.
 */
export const mebibytes = (count: number) => (count % 1024 === 0 ? `${count / 1024}Gi` : `${count}Mi`);

/** Of an amount of CPU or memory, such as "250m", "0.5" or "128Mi"; NaN for other text. */
export function amountOf(text: string): number {
  const [, digits = "", unit = ""] = /^([0-9]+(?:[.][0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text) ?? [];
  if (digits === "") return Number.NaN;
  return Number(digits) * (unit === "m" ? 0.001 : factors[unit as keyof typeof factors]);
}

/** Matches in JavaScript and in CEL (RE2) alike. */
export const quantityPattern = "^[1-9][0-9]{0,14}(k|M|G|T|Ki|Mi|Gi|Ti)?$";

/**
 * Bytes of a size such as "500Mi". Throws RangeError for text that `quantityPattern` does not
 * match.
 */
export function bytesOf(quantity: string): number {
  const match = /^([1-9][0-9]{0,14})(k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(quantity);
  if (!match) throw new RangeError(`not a size: ${JSON.stringify(quantity)}`);
  return Number(match[1]) * factors[(match[2] ?? "") as keyof typeof factors];
}
