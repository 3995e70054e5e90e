/** A relay that can't be brought over, in a sentence that says what to do. */
export class ImportProblem extends Error {
  override readonly name = "ImportProblem";
}
