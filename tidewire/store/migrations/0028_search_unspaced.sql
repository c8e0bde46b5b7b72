-- What: a text as the search's parser is to read it: Chinese, Japanese and Korean characters each a word.
-- Why: these are written without spaces or with endings, so that only whole runs of them were found. What is looked for is
-- split alike, into phrases (tidewire.actions.search_terms).
-- Lock: post_search and file_search, which only searches and one worker use. Time: none; workers make the index anew.
CREATE FUNCTION search_text(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN
    CASE WHEN octet_length($1) = length($1) THEN $1 ELSE regexp_replace($1,
        '[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]',
        ' \& ', 'g') END;
TRUNCATE post_search, file_search;
UPDATE search_state SET newest = '', checked = '';
