/**
 * `users count`, `users find TEXT MOST`, `users disable|enable|delete ADDRESS`: accounts, for an
 * administrator. Prints one line of JSON.
 */
import { messageOf } from "../lib/text.ts";
import { readStart } from "../relay/config.ts";
import { countUsers, deleteUser, disableUser, enableUser, findUsers } from "../relay/users/users.ts";

const [verb = "", word = "", most = "50"] = process.argv.slice(2);
try {
  const { settings: config } = await readStart(process.env);
  const acts = {
    count: () => countUsers(config, Date.now()),
    find: () => findUsers(config, word, Number(most)),
    disable: () => disableUser(config, word),
    enable: () => enableUser(config, word),
    delete: () => deleteUser(config, word),
  };
  if (!Object.hasOwn(acts, verb)) throw new Error("the first word is count, find, disable, enable or delete");
  const answer = await acts[verb as keyof typeof acts]();
  process.stdout.write(`${JSON.stringify(answer ?? {})}\n`);
} catch (thrown) {
  console.error(messageOf(thrown));
  process.exitCode = 1;
}
