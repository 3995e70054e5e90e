/**
 * `render PART start`, `render PART try HASH`, `render PART check HASH`: the configuration of one
 * program of a relay pod, from the plan (src/pod/configure.ts).
 */
import { messageOf } from "../lib/text.ts";
import { Configuration } from "../pod/configure.ts";
import { isPart } from "../pod/files.ts";

const [part = "", verb = "", hash = ""] = process.argv.slice(2);
try {
  if (!isPart(part)) throw new Error(`there is no part ${JSON.stringify(part)}`);
  const configuration = new Configuration(part);
  if (verb === "start") await configuration.start();
  else if (verb === "try") await configuration.try(hash);
  else if (verb === "check") await configuration.check(hash);
  else throw new Error("the second word is start, try or check");
} catch (thrown) {
  console.error(messageOf(thrown));
  process.exitCode = 1;
}
