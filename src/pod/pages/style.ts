/**
 * How the built-in pages look: one style sheet, one icon. Colours have a contrast of 4.5 and more
 * in both schemes (axe checks it).
 */

export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="#2bb3a3"/><stop offset="1" stop-color="#2463c9"/></linearGradient></defs><rect width="64" height="64" rx="16" fill="url(#g)"/><path fill="#fff" d="M20 15h24a9 9 0 0 1 9 9v12a9 9 0 0 1-9 9H32L21 54v-9h-1a9 9 0 0 1-9-9V24a9 9 0 0 1 9-9z"/><path fill="#2463c9" d="M26 28.500v-2.500a6 6 0 0 1 12 0v2.500h1a2 2 0 0 1 2 2v6.500a2 2 0 0 1-2 2H25a2 2 0 0 1-2-2v-6.500a2 2 0 0 1 2-2zm3 0h6v-2.500a3 3 0 0 0-6 0z"/></svg>
`;

const light = `  --ink: #16202b;
  --faint: #51606f;
  --paper: #f6f8fa;
  --card: #ffffff;
  --rule: #dde3e9;
  --accent: #1d57b5;
  --button: #1d57b5;
  --button-over: #164795;
  --on-button: #ffffff;
  --tint: #e3f4f1;
  --shadow: 0 1px 2px rgb(22 32 43 / 6%), 0 12px 32px rgb(22 32 43 / 8%);`;

const dark = `  --ink: #e9eef3;
  --faint: #a3b0bd;
  --paper: #10161c;
  --card: #192129;
  --rule: #2c3742;
  --accent: #8fbcff;
  --button: #8fbcff;
  --button-over: #b3d2ff;
  --on-button: #0d2140;
  --tint: #16322f;
  --shadow: 0 1px 2px rgb(0 0 0 / 30%), 0 12px 32px rgb(0 0 0 / 30%);`;

export const style = `:root {
  color-scheme: light dark;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans";
${light}
}
@media (prefers-color-scheme: dark) {
:root {
${dark}
}
}
* {
  box-sizing: border-box;
}
html {
  -webkit-text-size-adjust: 100%;
  text-size-adjust: 100%;
}
body {
  margin: 0;
  background: var(--paper);
  color: var(--ink);
  font: 1.0625rem/1.6 var(--sans), sans-serif;
  overflow-wrap: anywhere;
}
:lang(fa) {
  --sans: system-ui, -apple-system, "Segoe UI", Vazirmatn, "Noto Sans Arabic", "Noto Naskh Arabic", "Noto Sans";
}
:lang(zh-Hans) {
  --sans: system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans SC", "Noto Sans CJK SC";
}
header,
main,
footer {
  max-width: 54rem;
  margin: 0 auto;
  padding: 0 1.25rem;
}
header {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  justify-content: space-between;
  gap: 0.25rem 1.5rem;
  padding-top: 1rem;
  padding-bottom: 1rem;
}
.brand {
  display: inline-flex;
  align-items: center;
  gap: 0.6rem;
  min-width: 0;
  padding: 0.4rem 0;
  color: inherit;
  font-weight: 650;
  text-decoration: none;
}
[dir="rtl"] body {
  line-height: 1.75;
}
/* letters of these scripts are joined */
[dir="rtl"] h1 {
  letter-spacing: normal;
  line-height: 1.35;
}
nav ul {
  display: flex;
  flex-wrap: wrap;
  gap: 0 0.1rem;
  margin: 0 -0.5rem;
  padding: 0;
  list-style: none;
}
nav a {
  display: block;
  padding: 0.5rem;
  border-radius: 0.5rem;
  color: var(--faint);
  font-size: 1rem;
  text-decoration: none;
}
nav a:hover {
  color: var(--ink);
}
nav a[aria-current] {
  color: var(--ink);
  font-weight: 600;
  text-decoration: underline;
  text-decoration-color: var(--accent);
  text-decoration-thickness: 2px;
  text-underline-offset: 0.4em;
}
main {
  padding-bottom: 3rem;
}
h1 {
  max-width: 18em;
  margin: 1.25rem 0 0.75rem;
  font-size: clamp(1.75rem, 1.3rem + 2.4vw, 2.6rem);
  font-weight: 750;
  letter-spacing: -0.015em;
  line-height: 1.15;
  text-wrap: balance;
}
h2 {
  margin: 2.25rem 0 0.5rem;
  font-size: 1.3rem;
  line-height: 1.3;
}
h3 {
  margin: 0 0 0.25rem;
  font-size: 1.0625rem;
}
p {
  max-width: 40rem;
  margin: 0 0 1rem;
}
p,
li,
dd {
  text-wrap: pretty;
}
.lead {
  color: var(--faint);
  font-size: 1.15rem;
}
.lead strong {
  color: var(--ink);
}
a {
  color: var(--accent);
  text-underline-offset: 0.15em;
}
a:focus-visible {
  outline: 3px solid var(--accent);
  outline-offset: 2px;
  border-radius: 0.25rem;
}
.join,
.note {
  margin: 1.75rem 0 2rem;
  padding: 1.5rem 1.25rem;
  border: 1px solid var(--rule);
  border-radius: 1.1rem;
  background: var(--card);
  box-shadow: var(--shadow);
}
.join h2,
.note h2 {
  margin: 0 0 0.75rem;
}
.note p:last-child {
  margin-bottom: 0;
}
.steps {
  margin: 1.25rem 0 0;
  padding: 0;
  list-style: none;
  counter-reset: step;
}
.steps li {
  position: relative;
  margin: 0.7rem 0;
  padding-inline-start: 2.6rem;
  counter-increment: step;
}
.steps li::before {
  content: counter(step);
  position: absolute;
  inset-inline-start: 0;
  top: 0;
  width: 1.75rem;
  height: 1.75rem;
  border-radius: 50%;
  background: var(--tint);
  font-weight: 650;
  line-height: 1.75rem;
  text-align: center;
}
:lang(fa) .steps li::before {
  content: counter(step, persian);
}
.button {
  display: block;
  padding: 0.9rem 1.5rem;
  border-radius: 0.75rem;
  background: var(--button);
  color: var(--on-button);
  font-weight: 650;
  text-align: center;
  text-decoration: none;
}
.button:hover {
  background: var(--button-over);
}
.button:focus-visible {
  border-radius: 0.75rem;
}
figure {
  margin: 1.5rem 0 0;
  text-align: center;
}
figure svg {
  display: block;
  width: min(15rem, 100%);
  margin: 0 auto;
  border-radius: 0.9rem;
}
figcaption {
  margin-top: 0.5rem;
  color: var(--faint);
  font-size: 0.95rem;
}
.points {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(14rem, 100%), 1fr));
  gap: 1.25rem 2rem;
  margin: 2.25rem 0 0;
  padding: 0;
  list-style: none;
}
.points p {
  margin: 0;
  color: var(--faint);
}
dl {
  max-width: 44rem;
  margin: 0.75rem 0 0;
}
dl div {
  padding: 0.7rem 0;
  border-bottom: 1px solid var(--rule);
}
.facts div {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  gap: 0 1.5rem;
}
.facts dt {
  color: var(--faint);
}
dd {
  margin: 0;
}
.facts dd {
  font-weight: 600;
}
.who dt {
  color: var(--faint);
}
.kept dt {
  font-weight: 600;
}
.kept dd {
  color: var(--faint);
}
footer {
  width: calc(100% - 2.5rem);
  max-width: 51.5rem;
  padding: 1.25rem 0 2rem;
  border-top: 1px solid var(--rule);
  color: var(--faint);
  font-size: 0.95rem;
}
footer p {
  margin: 0.25rem 0;
}
.languages {
  margin-top: 0.5rem;
}
@media (min-width: 46rem) {
  .join {
    display: grid;
    grid-template-columns: 1fr 16rem;
    gap: 2.5rem;
    align-items: center;
    padding: 2.25rem;
  }
  .join figure {
    margin: 0;
  }
  .who div {
    display: grid;
    grid-template-columns: 14rem 1fr;
    gap: 1.5rem;
  }
  .button {
    display: inline-block;
  }
}
@media print {
  nav,
  footer,
  .button {
    display: none;
  }
}
`;
