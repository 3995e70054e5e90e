/** What records say: the data that dns-packet reads and writes ↔ our values. */
import dnsPacket, { type CaaData, type MxData, type SoaData, type SrvData, type TlsaData } from "dns-packet";
import ipaddr from "ipaddr.js";
import type { PublishedType, Values } from "./records.ts";
import { stringsOf } from "./zone-text.ts";

/** Beside what is published: what leads to it. Names have their dot at the end. */
export interface SeenValues extends Values {
  NS: string;
  PTR: string;
  SOA: { primary: string; serial: number };
  /** Only that there is one. */
  DS: true;
}
export type SeenType = keyof SeenValues;

const dotted = (name: string) => (name === "." ? "." : `${name.toLowerCase()}.`);

/** As addresses are written; IPv4 ones mapped into IPv6 stay as they are. */
const address = (text: string) => ipaddr.parse(text).toString();

const readers: { [Type in SeenType]: (data: never) => SeenValues[Type] } = {
  A: address,
  AAAA: address,
  NS: dotted,
  CNAME: dotted,
  PTR: dotted,
  SOA: ({ mname, serial = 0 }: SoaData) => ({ primary: dotted(mname), serial }),
  DS: () => true,
  MX: ({ preference = 0, exchange }: MxData) => ({ preference, host: dotted(exchange) }),
  TXT: (strings: Buffer[]) => Buffer.concat(strings).toString("latin1"),
  SRV: ({ priority = 0, weight = 0, port, target }: SrvData) => ({ priority, weight, port, host: dotted(target) }),
  CAA: ({ flags = 0, tag, value }: CaaData) => ({ critical: flags >= 128, tag: tag.toLowerCase(), value }),
  TLSA: ({ usage, selector, matchingType, certificate }: TlsaData) => {
    return { usage, selector, matching: matchingType, data: certificate.toString("hex") };
  },
};

/** From the data of a record as dns-packet has it. */
export const valueFrom = <Type extends SeenType>(type: Type, data: unknown): SeenValues[Type] =>
  readers[type](data as never);

const writers: { [Type in PublishedType]: (value: Values[Type]) => unknown } = {
  A: (value) => value,
  AAAA: (value) => value,
  CNAME: (host) => host,
  MX: ({ preference, host }) => ({ preference, exchange: host }),
  TXT: (text) => stringsOf(text).map((each) => Buffer.from(each, "latin1")),
  SRV: ({ host, ...rest }) => ({ ...rest, target: host }),
  CAA: ({ critical, tag, value }) => ({ flags: critical ? 128 : 0, tag, value }),
  TLSA: ({ usage, selector, matching, data }) => {
    return { usage, selector, matchingType: matching, certificate: Buffer.from(data, "hex") };
  },
};

/** Exported by dns-packet, but its types do not have it. */
const codecs = dnsPacket as typeof dnsPacket & {
  record: (type: string) => { encode: (data: unknown) => Buffer };
};

/** The data of a record, with its length of two octets before it. */
export const dataOf = <Type extends PublishedType>(type: Type, value: Values[Type]): Buffer =>
  codecs.record(type).encode(writers[type](value));
