// react-global.js — React's UMD build as a module, for pages without a build step. With a bundler you do not need it.
export const { createElement, useEffect, useRef, useState } = window.React;
