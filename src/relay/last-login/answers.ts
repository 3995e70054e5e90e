/** Notes the day of a login, told by Dovecot's last_login plugin (chatmail protocol §12.1). */
import { noteLogin } from "../accounts/store.ts";
import { type Domains, localAddress } from "../domains.ts";
import type { DictAnswers } from "../wire/dict-server.ts";

const prefix = "shared/last-login/";

export function lastLoginAnswers(config: Domains): DictAnswers {
  return {
    lookup: async () => undefined,
    unset: async () => "last logins can't be taken back",
    async set(key, value) {
      const account = key.startsWith(prefix) ? localAddress(config, key.slice(prefix.length)) : undefined;
      const seconds = /^[0-9]{1,12}$/.test(value) ? Number(value) : undefined;
      if (!key.startsWith(prefix) || seconds === undefined) return "not a last login";
      // an account that is gone meanwhile is no failure of this login
      if (account) await noteLogin(account, seconds * 1000);
      return undefined;
    },
  };
}
