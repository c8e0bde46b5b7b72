-- What: indexes for lists and searches of channels. Why: a team may have 100,000 of them, and each list shows a page.
-- Lock: SHARE on channels while the indexes are built (no writes). Time: some 3 s per 100,000 channels.
-- Only columns that patches change are indexed, so counters and event_n stay HOT. D and G are found by their members.

-- The words of a channel as a search finds them: by team, "<team id>/<word>", and in all teams, "/<word>". Words end at
-- ASCII punctuation and spaces whatever the locale, so that the index means the same everywhere. The cost is far above
-- the truth: no plan may compute it row by row where the index has it.
CREATE FUNCTION channel_words(team_id text, name text, display_name text, purpose text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 100000 AS $$
    SELECT array_to_tsvector(coalesce(array_agg(scope || '/' || word), '{}'))
    FROM regexp_split_to_table(lower(name || ' ' || display_name || ' ' || purpose), '[\s!-/:-@\[-`{-~]+') word,
        unnest(ARRAY[team_id, '']) scope
    WHERE word <> ''
$$;

-- What a term asks for: all of its words as beginnings of words. NULL, which finds nothing, for a term without words.
CREATE FUNCTION channel_query(scope text, term text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(quote_literal(scope || '/' || word) || ':*', ' & ')::tsquery
    FROM regexp_split_to_table(lower(term), '[\s!-/:-@\[-`{-~]+') word WHERE word <> ''
$$;

CREATE INDEX channels_words ON channels USING gin (channel_words(team_id, name, display_name, purpose))
    WHERE team_id <> '';
CREATE INDEX channels_of_team ON channels (team_id, display_name, id) WHERE team_id <> '';
CREATE INDEX channels_archived ON channels (team_id, display_name, id) WHERE team_id <> '' AND delete_at > 0;
CREATE INDEX channels_by_display_name ON channels (display_name, id) WHERE team_id <> '';
