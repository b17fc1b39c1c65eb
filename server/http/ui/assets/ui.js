// The page /ui: search with both passes side by side, collections, and reranking of pasted texts.
//
// Each module has one subject, and a folder those of a panel or a part of one. Whatever comes from a
// document or the server becomes text, never markup.

import { startCollections } from "./collections/panel.js";
import { byId } from "./elements.js";
import { startKey, startTheme } from "./header.js";
import { startRerank } from "./rerank.js";
import { startJudging } from "./search/judging.js";
import { followHash, startSearch } from "./search/panel.js";
import { loadServer } from "./server.js";
import { namesTab, readHash, showTab, startTabs } from "./tabs.js";
import { startUpload } from "./upload/panel.js";

startTheme();
startKey();
startTabs();
startSearch();
startJudging();
startCollections();
startUpload();
startRerank();
byId("skip").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault(); // its hash would take the place of the view's
  byId("content").focus();
});
loadServer();
showTab(readHash().tab);

window.addEventListener("hashchange", () => {
  if (!namesTab()) return;
  showTab(readHash().tab);
  followHash();
});

followHash();
