/**
 * Whom other programs would show as a message's author: every From header, each as a lenient
 * library reads it, before and after decoding.
 */
import { type Address, addressParser, decodeWords } from "postal-mime";

/** Lower-case, each once. */
export function authorsForOthers(...froms: readonly string[]): string[] {
  const found = froms.flatMap((from) => {
    const text = from.replace(/\r?\n(?=[ \t])/g, "");
    return [text, decodeWords(text)].flatMap((each) => addressParser(each).flatMap(addressesOf));
  });
  return [...new Set(found.filter((each) => each.includes("@")).map((each) => each.toLowerCase()))];
}

function addressesOf(address: Address): string[] {
  return address.group ? address.group.flatMap(addressesOf) : [address.address ?? ""];
}
