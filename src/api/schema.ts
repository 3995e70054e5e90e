/**
 * Fields of our resource schemas: each rule is written once, for zod and, as CEL, for the API
 * server. Rules over several fields are in rules.ts.
 */
import { isIP } from "node:net";
import * as z from "zod";
import { bytesOf, quantityPattern } from "./quantity.ts";

/** A rule as the API server evaluates it; `message` is what `kubectl apply` prints. */
export interface CelRule {
  rule: string;
  message: string;
  /** CEL of a message that names the value; where it can't be evaluated, `message` is said. */
  messageExpression?: string;
  reason?: "FieldValueInvalid" | "FieldValueForbidden" | "FieldValueRequired";
}

/** JSON Schema keyword under which rules travel into the CRD. */
export const celKeyword = "x-kubernetes-validations";

export const cel = (...rules: CelRule[]) => ({ [celKeyword]: rules });

/**
 * Text of a form: `pattern` holds in JavaScript and RE2 alike, `says` completes "NAME must be …".
 */
export const text = (options: {
  name: string;
  pattern: string;
  says: string;
  maxLength: number;
  rules?: CelRule[];
}) => {
  const message = `${options.name} must be ${options.says}`;
  return z
    .string()
    .min(1)
    .max(options.maxLength)
    .refine((value) => new RegExp(options.pattern, "u").test(value), { message })
    .meta(cel({ rule: `self.matches(${JSON.stringify(options.pattern)})`, message }, ...(options.rules ?? [])));
};

/** Text without a form. */
export const line = (options: { maxLength: number }) => z.string().min(1).max(options.maxLength);

/** Without a zone, and not one written inside the other: what the API server takes, too. */
const isAddress = (value: string) => isIP(value) === 4 || (isIP(value) === 6 && !/[.%]/.test(value));

/** An IPv4 or IPv6 address. */
export const address = (name: string) => {
  const message = `${name} must be IP addresses such as 10.96.0.53`;
  return z
    .string()
    .min(1)
    .max(45)
    .refine(isAddress, { message })
    .meta(cel({ rule: "isIP(self)", message }));
};

/** A range of them, as CIDR has it. */
export const addressRange = (name: string) => {
  const message = `${name} must be address ranges such as 192.0.2.0/28 or 2001:db8::/64`;
  const isRange = (value: string) => {
    const [, at = "", bits = ""] = /^(.*)[/](0|[1-9][0-9]{0,2})$/s.exec(value) ?? [];
    return isAddress(at) && Number(bits) <= (at.includes(":") ? 128 : 32);
  };
  return z
    .string()
    .min(1)
    .max(49)
    .refine(isRange, { message })
    .meta(cel({ rule: "isCIDR(self)", message }));
};

/**
 * An https:// URL that the API server (Go) and the daemon (WHATWG) both read, without user and
 * password. The API server takes a few that the daemon can't read, such as https://1.2.3.256: those
 * are found when the spec is carried out.
 */
export const httpsUrl = (name: string) => {
  const message = `${name} must be a URL that begins with https://`;
  const host = "([A-Za-z0-9_.-]+|\\[[0-9A-Fa-f:.]+\\])";
  const port = "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4}))";
  const pattern = `^https://${host}${port}?([/?#][^ \\t\\r\\n\\\\<>"{}|^\`]*)?$`;
  return z
    .string()
    .min(1)
    .max(1024)
    .refine((value) => new RegExp(pattern, "u").test(value) && URL.canParse(value), { message })
    .meta(cel({ rule: `self.matches(${JSON.stringify(pattern)}) && isURL(self)`, message }));
};

/** A size between two sizes, such as "30Mi". */
export const size = (options: { name: string; atLeast: string; atMost: string }) => {
  const { name, atLeast, atMost } = options;
  const message = `${name} must be between ${atLeast} and ${atMost}`;
  // What is no size at all is the first rule's business.
  const isSize = (value: string) => new RegExp(quantityPattern, "u").test(value);
  const isWithin = (value: string) => bytesOf(value) >= bytesOf(atLeast) && bytesOf(value) <= bytesOf(atMost);
  return text({
    name,
    pattern: quantityPattern,
    says: `a whole number with k, M, G, T, Ki, Mi, Gi or Ti, such as ${atLeast}`,
    maxLength: 18,
    rules: [
      {
        rule: `!self.matches(${JSON.stringify(quantityPattern)}) || (quantity(self).compareTo(quantity("${atLeast}")) >= 0 && quantity(self).compareTo(quantity("${atMost}")) <= 0)`,
        message,
      },
    ],
  }).refine((value) => !isSize(value) || isWithin(value), { message });
};

/** The name of another object. */
export const objectName = (name: string) =>
  text({
    name,
    pattern: "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
    says: "the name of an object: lower-case letters, digits, - and .",
    maxLength: 253,
  });

/** A key of a Secret or ConfigMap. */
export const keyIn = (builtIn: string) =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._a-zA-Z0-9]+$/)
    .default(builtIn);

/** An object of Kubernetes that the operator hands on and does not read. It is taken whole. */
export const anyObject = () => z.record(z.string(), z.unknown()).meta({ "x-kubernetes-preserve-unknown-fields": true });

/** A map from text to text, such as annotations. */
export const entries = (options: { atMost: number; valueMaxLength: number }) =>
  z
    .record(z.string(), z.string().max(options.valueMaxLength))
    .refine((map) => Object.keys(map).length <= options.atMost, { message: `at most ${options.atMost} entries` })
    .meta({ maxProperties: options.atMost });
