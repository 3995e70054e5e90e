/**
 * A domain of somebody else's mail server, as far as DKIM goes: a key in the DNS, and mails signed
 * with it.
 */
import { generateKeyPairSync } from "node:crypto";
import { createSigner, signingKey } from "../../src/dkim/sign.ts";
import { publicDkimKey } from "../../src/dns/dkim-key.ts";
import { dkimRecord } from "../../src/dns/records.ts";
import { valueTexts } from "../../src/dns/zone-text.ts";
import { publishZone, removeZone } from "../lab/names.ts";

export interface StrangeDomain {
  domain: string;
  /** A mail signed by this domain, or by one that says so and has another's key or none. */
  signed(data: string, as?: string): Promise<string>;
  remove(): Promise<void>;
}

const selector = "s1";

export async function publishStrangeDomain(domain: string): Promise<StrangeDomain> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
  const key = publicDkimKey(pem);
  if (!key) throw new Error("no key");
  const set = dkimRecord({ domain, selector, key });
  await publishZone(domain, `${set.name} TXT ${valueTexts(set).join()}`);
  return {
    domain,
    signed: (data, as = domain) => signedBy({ domain: as, privateKey: pem }, data),
    remove: () => removeZone(domain),
  };
}

async function signedBy({ domain, privateKey }: { domain: string; privateKey: string }, data: string): Promise<string> {
  const key = signingKey({ domain, selector, privateKey });
  const signing = createSigner({ keys: [key], now: Date.now }).begin();
  const [head = "", ...rest] = data.split("\r\n\r\n");
  for (const line of head.split(/\r\n(?![ \t])/)) {
    const colon = line.indexOf(":");
    signing.header(line.slice(0, colon), line.slice(colon + 1));
  }
  signing.body(Buffer.from(rest.join("\r\n\r\n")));
  const [header] = await signing.end(domain);
  return `DKIM-Signature:${header?.value.replaceAll("\n", "\r\n")}\r\n${data}`;
}
