/** What can be fuzzed, by name. */
import { target as mime } from "./mime.ts";
import * as parts from "./parts.ts";
import * as protocols from "./protocols.ts";
import type { Target } from "./target.ts";

export const targets: Readonly<Record<string, Target>> = {
  mime,
  armor: parts.armor,
  packets: parts.packetWalk,
  addresses: parts.addresses,
  "dkim-body": parts.dkimBody,
  "dkim-tags": parts.dkimTags,
  dns: parts.dns,
  sts: parts.sts,
  json: parts.json,
  names: parts.names,
  pem: parts.pem,
  data: parts.data,
  ...protocols,
};
