/** Debian packages of the browser: the program, and letters as most phones show them. Installed before a suite starts: in the lab's network no mirror can be reached. */
export const browserPackages = ["chromium", "fonts-noto-core"] as const;
