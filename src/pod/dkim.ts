/**
 * The keys that a relay signs with: their files in the Secret and in the pod, and the selectors
 * under which other relays look for them.
 */
import { signsMail } from "../mail/address.ts";
import { domainFolder, folders } from "./layout.ts";

export interface DkimKeyFile {
  file: string;
  selector: string;
  /** Signs beside the others where it is there. */
  optional: boolean;
}

/** The key that every relay has; the operator makes it. */
export const rsaKey = { file: "rsa.pem", selector: "chatmail", optional: false } as const satisfies DkimKeyFile;

export const dkimKeyFiles: readonly DkimKeyFile[] = [
  rsaKey,
  { file: "ed25519.pem", selector: "chatmail-ed25519", optional: true },
];

export interface SigningKeyFile {
  selector: string;
  /** Path in the relay container. */
  file: string;
  optional: boolean;
}

export function signingKeyFiles(domain: string): SigningKeyFile[] {
  if (!signsMail(domain)) return [];
  return dkimKeyFiles.map((each) => ({ ...each, file: `${domainFolder(folders.dkim, domain)}/${each.file}` }));
}
