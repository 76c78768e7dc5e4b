
# Copyright (C) ngx_http_approval_module contributors


for approval_file in $ngx_addon_dir/src/store/*.lua \
                     $ngx_addon_dir/src/core/*.json \
                     $ngx_addon_dir/src/desk/*.html \
                     $ngx_addon_dir/src/desk/*.css \
                     $ngx_addon_dir/src/desk/*.js
do
    if [ ! -f $approval_file ]; then
        continue
    fi

    approval_header=$NGX_OBJS/approval/`basename $approval_file`.h

    cat << END                                                >> $NGX_MAKEFILE

$approval_header:	$approval_file \\
	$ngx_addon_dir/conf/embed.sh
	sh $ngx_addon_dir/conf/embed.sh $approval_file $approval_header

END
done
