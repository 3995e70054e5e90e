/**
 * Connections go only to addresses that the relay may connect to: judged after the look-up, on the
 * very addresses that are then connected to.
 */
import { isIP, type LookupFunction } from "node:net";

/** Whether an address may be connected to. */
export type MayConnect = (address: string) => boolean;

/** None of a host's addresses may be connected to. Says nothing of what the DNS had. */
export class PeerRefused extends Error {
  override readonly name = "PeerRefused";
  readonly code = "EPEERREFUSED";
}

/**
 * A look-up for sockets that leaves out the addresses that may not be connected to; fails with
 * PeerRefused where none is left.
 */
export function allowedLookup(lookup: LookupFunction, mayConnect: MayConnect): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (failure, found, family) => {
      const wantsAll = options.all === true;
      if (failure) return wantsAll ? done(failure, []) : done(failure, "", 0);
      const addresses = Array.isArray(found) ? found : [{ address: found, family: family ?? isIP(found) }];
      const allowed = addresses.filter(({ address }) => mayConnect(address));
      const [first] = allowed;
      if (!first) {
        const refused = new PeerRefused(`${host} may not be connected to`);
        return wantsAll ? done(refused, []) : done(refused, "", 0);
      }
      return wantsAll ? done(null, allowed) : done(null, first.address, first.family);
    });
  };
}

/** Sockets look up names alone. Throws PeerRefused for an address that may not be connected to. */
export function requireAllowed(host: string, mayConnect: MayConnect): void {
  const address = host.replace(/^\[(.*)\]$/, "$1");
  if (isIP(address) !== 0 && !mayConnect(address)) throw new PeerRefused(`${host} may not be connected to`);
}
