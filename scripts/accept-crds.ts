/**
 * `npm run accept-crds`: stores what was added to our CRDs. Refuses every other change: an object
 * that is accepted today is accepted for ever. `-- --looser spec.domain`: the changed rule of this
 * field takes all that the old one took.
 */
import { readOptions } from "./options.ts";
import { storedCrds } from "./stored-crds.ts";

const { values } = readOptions("npm run accept-crds [-- --looser FIELD …]", {
  options: { looser: { type: "string", multiple: true, default: [] } },
});
for (const { plural, refused, isFresh, store } of storedCrds(values.looser)) {
  for (const change of refused) console.error(`${plural}: ${change}`);
  if (refused.length > 0) process.exitCode = 1;
  else if (!isFresh) {
    store();
    console.log(`stored ${plural}`);
  }
}
