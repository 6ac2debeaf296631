#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# mimedefang.pl COUNT MESSAGE FOLDER: adds a disclaimer to a message, COUNT times, with MIMEDefang's own functions and
# its own parser, whose parts are files in a working folder, and writes the result there.
use strict;
use warnings;

use File::Path qw(remove_tree);
use HTML::Parser;
use MIME::Parser;
use Mail::MIMEDefang;
use Mail::MIMEDefang::MIME;

my ($count, $message, $folder) = @ARGV;
$Features{'HTML::Parser'} = 1;

foreach my $turn (1 .. $count) {
    my $work = "$folder/defang-$turn";
    mkdir $work or die "failed to make \"$work\": $!\n";

    my $parser = builtin_create_parser();
    $parser->filer(MIME::Parser::FileInto->new($work));
    my $entity = $parser->parse_open($message);
    append_text_boilerplate($entity, 'This is a disclaimer.', 0);
    append_html_boilerplate($entity, '<p>This is a disclaimer.</p>', 0);

    open my $result, '>', "$work/result" or die "failed to write the result: $!\n";
    $entity->print($result);
    close $result or die "failed to write the result: $!\n";
    remove_tree($work);
}
