/**
 * Objects of one kind mostly say the same: the pod templates of a thousand StatefulSets differ in a
 * handful of names. What an object has in common with another one of its kind is kept once. Pure,
 * and in need of no table that would grow.
 */

type Tree = Record<string, unknown>;

/**
 * Equal to `value`, with every part that equals its counterpart in `model` taken from there;
 * `model` itself where all is equal.
 */
export function sharingWith<T>(value: T, model: unknown): T {
  // Equal texts that came in different answers are two strings: the model's is kept.
  if (value === model) return model as T;
  if (!isTree(value) || !isTree(model) || Array.isArray(value) !== Array.isArray(model)) return value;
  const keys = Object.keys(value);
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Tree;
  let equal = keys.length === Object.keys(model).length;
  for (const key of keys) {
    const known = Object.hasOwn(model, key);
    if (known) copy[key] = sharingWith(value[key], model[key]);
    equal &&= known && copy[key] === model[key];
  }
  return (equal ? model : copy) as T;
}

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null;
